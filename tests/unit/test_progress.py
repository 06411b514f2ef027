"""The line on a campaign, from planted times."""

from unpaint.lineage.progress import describe


def test_the_rest_is_priced_by_what_finished_jobs_of_each_rule_took():
    left = ["unlearn"] * 6 + ["samples"] * 6
    text = describe(40, left, {"unlearn": [50.0, 70.0], "samples": [30.0]}, 2, {})
    assert text == "28 of 40 jobs done; about 4 min left on 2 cores"  # (6 * 60 + 6 * 30) / 2 = 270 s


def test_a_rule_that_uses_several_cores_leaves_them_to_nothing_else():
    assert "about 20 min left" in describe(9, ["retrain"] * 3, {"retrain": [400.0]}, 2, {"retrain": 2})
    assert "about 10 min left" in describe(9, ["retrain"] * 3, {"retrain": [400.0]}, 2, {})


def test_a_rule_that_has_not_run_is_priced_like_its_namesake_or_said_to_be_unknown():
    text = describe(5, ["samples", "unlearn"], {"samples_base": [120.0]}, 1, {})
    expected = "3 of 5 jobs done; about 2 min left on 1 cores; 1 jobs of rules that have not run yet are not estimated"
    assert text == expected


def test_an_oracle_is_priced_like_the_base_model_whose_recipe_it_is():
    assert (
        describe(3, ["retrain"] * 2, {"base": [600.0]}, 2, {"base": 2})
        == "1 of 3 jobs done; about 10 min left on 2 cores"
    )


def test_long_rests_are_in_hours_and_none_is_said_when_all_is_done():
    assert "about 2 h 05 min left" in describe(9, ["base"], {"base": [7500.0]}, 1, {})
    assert describe(9, [], {"base": [7500.0]}, 1, {}) == "9 of 9 jobs done"
