"""Random manifests of every shape stay within the memory allowed; `make fuzz` also limits their time."""

import pytest
from cost_fuzz import MEMORY_ALLOWED, try_seed
from manifest_shapes import ENTRIES, VALUES, grow

# Time is not asserted here: other tests run beside this one.
SEEDS = range(100, 116)
MOST_BYTES = 8 * 2**20


@pytest.mark.parametrize("seed", SEEDS)
def test_a_grown_manifest_is_parsed_within_its_memory(seed):
    shape, cost = try_seed(seed, MOST_BYTES)
    assert cost.memory_left > 0, f"{shape}: {cost}"
    assert cost.peak < MEMORY_ALLOWED, f"{shape}: {cost}"  # a small manifest takes less than the largest may


def test_each_seed_gives_one_manifest():
    assert all(grow(seed, 50_000) == grow(seed, 50_000) for seed in range(20))


def test_every_shape_is_grown():
    grown = {name for name, _ in (grow(seed, 3_000) for seed in range(1_500))}
    made = {make.__name__ for make in (*VALUES, *(make for makes in ENTRIES.values() for make in makes))}
    assert {name.partition(": ")[2] for name in grown} >= made
    assert {name.partition(": ")[0] for name in grown} == {
        "items", "containers", "x", "verification", "sync_id", "root"
    }
