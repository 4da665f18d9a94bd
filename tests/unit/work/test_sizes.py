from containai.work.sizes import size


def test_sizes_are_in_powers_of_ten():
    assert [size(0), size(1_400_000), size(2_345_000_000)] == ["0 MB", "1 MB", "2.35 GB"]
