"""numpy's BLAS: the matrix product of the float64 networks, and its threads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import numpy as np
import pytest
import torch
from threadpoolctl import ThreadpoolController

from fdeg_codec.blas import one_thread
from fdeg_codec.codec.workers import Workers
from fdeg_codec.networks.layers import Linear, product


@pytest.fixture
def three_threads() -> Iterator[None]:
    with openblas().limit(limits=3):
        yield


def openblas() -> ThreadpoolController:
    found = ThreadpoolController().select(internal_api="openblas")
    if not found.info():
        pytest.skip("this numpy has another BLAS")
    return found


def threads() -> set[int]:
    return {library["num_threads"] for library in openblas().info()}


@pytest.mark.parametrize("shapes", [((5, 7), (7, 3)), ((1, 5, 7), (7, 3)), ((5, 7), (4, 7, 3)), ((2, 7), (1, 7, 900))])
def test_product_is_that_of_exact_numbers(shapes: tuple[tuple[int, ...], tuple[int, ...]]) -> None:
    a, b = (torch.randint(-99, 99, shape).double() for shape in shapes)
    exact = np.einsum("...ik,...kj->...ij", a.long().numpy(), b.long().numpy())
    assert np.array_equal(product(a, b).numpy(), exact)
    assert np.array_equal(product(a, b.transpose(-1, -2).contiguous().transpose(-1, -2)).numpy(), exact)


@pytest.mark.parametrize("bias", [False, True])
def test_layer_in_float64_is_the_layer_of_torch(bias: bool) -> None:
    layer = Linear(7, 3, bias).double()
    x = torch.randn(2, 5, 7).double()
    expected = torch.nn.functional.linear(x, layer.weight, layer.bias)
    expected.sum().backward()
    assert layer.weight.grad is not None
    gradient, layer.weight.grad = layer.weight.grad, None
    layer(x).sum().backward()
    torch.testing.assert_close(layer.weight.grad, gradient, rtol=1e-13, atol=1e-13)
    with torch.inference_mode():
        torch.testing.assert_close(layer.requires_grad_(False)(x), expected.detach(), rtol=1e-13, atol=1e-13)


@pytest.mark.usefixtures("three_threads")
def test_those_who_ask_for_one_thread_may_overlap() -> None:
    first, second = ExitStack(), ExitStack()
    first.enter_context(one_thread)
    second.enter_context(one_thread)
    assert threads() == {1}
    first.close()
    assert threads() == {1}
    second.close()
    assert threads() == {3}


@pytest.mark.usefixtures("three_threads")
@pytest.mark.parametrize("torch_threads", [1, 4])
@pytest.mark.parametrize("tiles", [1, 9])
def test_tiles_have_one_thread_each(torch_threads: int, tiles: int) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(torch_threads)
    try:
        with Workers(torch.device("cpu"), tiles) as workers:
            assert workers.submit(threads).result() == {1}
        assert threads() == {3}
        with pytest.raises(ZeroDivisionError), Workers(torch.device("cpu"), tiles) as workers:
            workers.submit(lambda: 1 // 0).result()
        assert threads() == {3}
    finally:
        torch.set_num_threads(before)
