"""Rows of the comparison: which are run, and with which parameters."""

import pytest

from ganmf_fast import reference
from ganmf_fast.experiments.run_specs import run_specs
from ganmf_fast.experiments.variants import select

GAN_ROWS = ("binGANMF-u", "binGANMF-i", "CFGAN-u", "CFGAN-i", "CAAE")


def test_every_row_of_a_gan_is_published_and_its_parameters_are_those_of_the_constructor():
    for dataset in reference.dataset_names():
        for spec in run_specs(select(["GANMF", "BinGANMF", "CFGAN", "CAAE"]), dataset):
            assert spec.source == "published"
            assert reference.published(dataset, spec.variant.name) is not None


@pytest.mark.parametrize("name", GAN_ROWS)
def test_published_parameters_come_with_the_published_training_and_corrected_rows_without(name):
    published, corrected = run_specs(select([name, f"{name}-corrected"]), "lastfm")
    assert published.params["published_quirks"] is True
    same = {k: v for k, v in published.params.items() if k != "published_quirks"}
    assert corrected.params == same
    # Where nothing is published, nothing is known to be as published.
    assert "published_quirks" not in run_specs(select([name]), None)[0].params


def test_rows_that_vary_another_are_run_only_when_named():
    names = [row.name for row in select(None)]
    assert set(GAN_ROWS) <= set(names)
    assert not [name for name in names if name.endswith(("-corrected", "-nogan"))]
    assert [row.name for row in select(["CFGAN"])] == ["CFGAN-u", "CFGAN-i"]
    (control,) = run_specs(select(["CFGAN-u-nogan"]), "ml-1m")
    assert control.params["adversarial"] is False
    assert control.params["g_nodes"] == reference.best_params("ml-1m", "CFGAN-u")["g_nodes"]


def test_a_search_leaves_a_row_what_it_is_named_after():
    rows = {row.name: row.fixed for row in select(["EDLAE", "AugCF-control", "RAGAN-plain"])}
    assert rows["EDLAE"]["dropout"] > 0
    assert rows["AugCF-control"] == {"share": 0.0}
    assert rows["RAGAN-plain"] == {"bt": False}
    given = {"EDLAE": {"l2": 7.0}}
    (spec,) = run_specs(select(["EDLAE"]), None, given)
    assert spec.params == {**rows["EDLAE"], "l2": 7.0}
