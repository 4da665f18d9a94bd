"""What the benchmark says of figures, which it alone sees."""

from bench import sizes

from containai.images import recipe


def test_an_image_is_bounded():
    small = sizes.row("base", 799_600_000, 7, 0.8)
    assert (small.ours, small.unit, small.met) == ("800 MB, 7 layers", "GB", True)
    assert sizes.row("base", 800_400_000, 7, 0.8).met is False


def test_every_image_has_a_bound():
    assert set(recipe.PARENTS) <= set(sizes.AIMS)
