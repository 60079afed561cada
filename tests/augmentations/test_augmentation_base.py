"""Composition, errors, and what a user builds on top."""

import doctest
import inspect

import pytest
import torch

import augmentations
from augmentations import (
    AmplitudeScale,
    Augmentation,
    BaselineWander,
    Compose,
    CropResize,
    GaussianNoise,
    OneOf,
    Powerline,
    RandomCrop,
    RandomOrder,
    SomeOf,
    TimeMask,
    TimeWarp,
    Views,
)

CLASSES = [BaselineWander, GaussianNoise, Powerline, AmplitudeScale, TimeWarp, CropResize, TimeMask]


class Offset(Augmentation):
    """Adds a constant: an augmentation of a user's own."""

    def __init__(self, volt: float = 1.0, p: float = 0.5) -> None:
        super().__init__(p)
        self.volt = volt

    def apply(self, x, fs, generator):
        return x + self.volt


class Double(Augmentation):
    def apply(self, x, fs, generator):
        return x * 2


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


# ---- composition


def test_compose_applies_in_order():
    x = torch.zeros(2, 1, 3)
    assert Compose([Offset(1, p=1), Double(p=1)])(x, 100).eq(2).all()
    assert Compose([Double(p=1), Offset(1, p=1)])(x, 100).eq(1).all()
    assert Compose([])(x, 100) is x


def test_compose_tosses_each_coin_for_itself_and_one_for_all():
    x = torch.zeros(4000, 1, 1)
    y = Compose([Offset(1, p=0.5), Offset(10, p=0.5)], p=0.5)(x, 100, seeded()).flatten()
    shares = {value: (y == value).float().mean().item() for value in (0, 1, 10, 11)}
    assert shares == pytest.approx({0: 0.625, 1: 0.125, 10: 0.125, 11: 0.125}, abs=0.03)


def test_a_users_own_augmentation_composes_and_prints():
    compose = Compose([Offset(2.0, p=1.0), Compose([TimeMask()], p=0.2)])
    assert compose(torch.zeros(3, 2, 50), 100).max() == 2
    assert repr(compose) == (
        "Compose([\n"
        "    Offset(volt=2.0, p=1.0),\n"
        "    Compose([\n"
        "        TimeMask(share=(0.1, 0.5), spans=1, p=0.5),\n"
        "    ], p=0.2),\n"
        "], p=1.0)"
    )
    assert repr(Views([Double()], n=3)) == "Views([\n    Double(p=0.5),\n], n=3)"
    assert repr(Views([Double()], others=[])) == "Views([\n    Double(p=0.5),\n], n=2, others=[\n\n])"


def test_views_are_independent():
    x = torch.randn(50, 2, 300, generator=seeded())
    one, two, three = Views([GaussianNoise(p=1)], n=3)(x, 100, seeded())
    noises = torch.stack([one - x, two - x, three - x]).flatten(1)
    assert (torch.corrcoef(noises) - torch.eye(3)).abs().max() < 0.03
    coins = [(view != x).flatten(1).any(1) for view in Views([Offset(p=0.5)])(x, 100, seeded())]
    assert 10 < (coins[0] ^ coins[1]).sum() < 40


def test_views_of_several_tensors_take_turns():
    x, partner = torch.zeros(2, 1, 3), torch.full((2, 1, 3), 7.0)
    values = [view.max().item() for view in Views([Offset(1, p=1)], n=3)([x, partner], 100)]
    assert values == [1, 8, 1]
    kinds = Views([Offset(1, p=1)], n=4, others=[Offset(5, p=1)])((x, partner), 100)
    assert [view.max().item() for view in kinds] == [1, 12, 1, 12]
    plain = Views([])([x, partner], 100)
    assert torch.equal(plain[1], partner)
    assert plain[1].data_ptr() != partner.data_ptr(), "what is done to a view would reach the data"
    alone, listed = (Views([GaussianNoise(p=1)])(given, 100, seeded()) for given in (x, [x]))
    assert all(torch.equal(a, b) for a, b in zip(alone, listed, strict=True))
    for wrong in ([], [x, partner, x], [x, partner[:1]]):
        with pytest.raises(ValueError, match="2 views are made of 1 to 2 tensors of one shape"):
            Views([])(wrong, 100)


def test_views_of_two_kinds_take_turns():
    x = torch.zeros(2, 1, 3)
    values = [view.max().item() for view in Views([Offset(1, p=1)], n=3, others=[Offset(5, p=1)])(x, 100)]
    assert values == [1, 5, 1]
    plain = Views([Offset(1, p=1)], others=[])(x, 100)[1]
    assert torch.equal(plain, x)
    assert plain.data_ptr() != x.data_ptr(), "what is done to a view would reach the data"
    with pytest.raises(ValueError, match="needs a sampling rate above"):
        Views([], others=[Powerline()]).check(fs=100)


class Window(Augmentation):
    """Returns a view of what it is given."""

    def apply(self, x, fs, generator):
        return x[..., :]


class Keep(Augmentation):
    """Holds on to what it returns."""

    def apply(self, x, fs, generator):
        self.kept = x + 1
        return self.kept


class Flat(Augmentation):
    """Returns one number many times, in the memory of one."""

    def apply(self, x, fs, generator):
        return x.mean((1, 2), keepdim=True).expand(x.shape)


def test_what_another_holds_is_not_changed_in_place():
    keep = Keep(p=1)
    for compose in (Compose, lambda parts: OneOf([Compose(parts)])):
        compose([keep, Offset(5, p=0.5)])(torch.zeros(50, 1, 3), 100, seeded())
        assert keep.kept.eq(1).all()
    assert Compose([Flat(p=1), Offset(5, p=0.5)])(torch.zeros(50, 1, 3), 100, seeded()).max() == 5


@pytest.mark.parametrize("compose", [Compose, OneOf, RandomOrder, lambda parts: SomeOf(parts, n=(4, 4))])
def test_what_is_changed_in_place_is_never_the_input(compose):
    x = torch.zeros(50, 1, 3)
    parts = [Window(p=1), Offset(1, p=0.5), Window(p=1), Offset(1, p=0.5)]
    y = compose(parts)(x, 100, seeded())
    assert y.max() > 0
    assert x.eq(0).all()
    gradient = torch.autograd.grad(compose(parts)(x.requires_grad_(), 100, seeded()).sum(), x)[0]
    assert gradient.eq(1).all()


def shares(y):
    """How often each value comes in a batch of constants."""
    values, counts = y.flatten().unique(return_counts=True)
    return {value.item(): count.item() / y.numel() for value, count in zip(values, counts, strict=True)}


def test_one_of_applies_one_with_its_weight():
    x = torch.zeros(4000, 1, 1)
    parts = [Offset(1, p=1), Offset(10, p=1), Offset(100, p=0.5)]
    thirds = {0: 1 / 6, 1: 1 / 3, 10: 1 / 3, 100: 1 / 6}
    assert shares(OneOf(parts)(x, 100, seeded())) == pytest.approx(thirds, abs=0.03)
    weighted = OneOf(parts, weights=(3, 1, 0), p=0.8)
    assert shares(weighted(x, 100, seeded())) == pytest.approx({0: 0.2, 1: 0.6, 10: 0.2}, abs=0.03)


def test_some_of_applies_as_many_as_it_says_in_order():
    x = torch.zeros(4000, 1, 1)
    parts = [Offset(1, p=1), Double(p=1), Offset(1, p=1)]
    assert shares(SomeOf(parts, n=(3, 3))(x, 100, seeded())) == {3: 1}
    assert shares(SomeOf(parts, n=(0, 0))(x, 100, seeded())) == {0: 1}
    two = {1: 1 / 3, 2: 2 / 3}  # double and add one; add one and double, or add one twice
    assert shares(SomeOf(parts, n=(2, 2))(x, 100, seeded())) == pytest.approx(two, abs=0.03)
    some = shares(SomeOf([Offset(1, p=1)] * 4, n=(1, 3))(x, 100, seeded()))
    assert some == pytest.approx({1: 1 / 3, 2: 1 / 3, 3: 1 / 3}, abs=0.03)


def test_random_order_applies_all_in_every_order():
    x = torch.zeros(4000, 1, 1)
    parts = [Offset(1, p=1), Double(p=1), Offset(10, p=1)]
    # 1, 2, 10 in the six orders: what comes before the doubling counts twice.
    expected = {11: 1 / 3, 12: 1 / 6, 21: 1 / 6, 22: 1 / 3}
    assert shares(RandomOrder(parts)(x, 100, seeded())) == pytest.approx(expected, abs=0.03)


def test_works_without_a_generator():
    x = torch.randn(8, 2, 300)
    torch.manual_seed(1)
    first = GaussianNoise(p=1)(x, 100)
    assert not torch.equal(GaussianNoise(p=1)(x, 100), first)
    torch.manual_seed(1)
    assert torch.equal(GaussianNoise(p=1)(x, 100), first)


def test_gradients_pass():
    x = torch.randn(4, 2, 300, dtype=torch.float64, requires_grad=True)
    for cls in CLASSES:
        for p in (0.5, 1.0):
            (gradient,) = torch.autograd.grad(cls(p=p)(x, 500, seeded()).square().sum(), x)
            assert gradient.isfinite().all()
            assert gradient.abs().sum() > 0


# ---- refusals


@pytest.mark.parametrize("fs", [100, 99.9, 60])
def test_powerline_is_refused_where_the_rate_cannot_carry_it(fs):
    with pytest.raises(ValueError, match=r"50 Hz needs a sampling rate above 100 Hz.*GaussianNoise"):
        Powerline().check(fs)
    with pytest.raises(ValueError, match="needs a sampling rate above"):
        Powerline()(torch.randn(1, 1, 10), fs)
    with pytest.raises(ValueError, match="needs a sampling rate above"):
        Views([TimeWarp(), Compose([Powerline(p=0.1)])]).check(fs)


def test_powerline_is_accepted_just_above():
    Powerline().check(100.1)
    Powerline(frequencies=(60,)).check(121)
    with pytest.raises(ValueError, match="60 Hz needs a sampling rate above 120 Hz"):
        Powerline(frequencies=(50, 60)).check(110)


def test_wander_is_refused_below_its_rate():
    with pytest.raises(ValueError, match=r"2 Hz needs a sampling rate above 4 Hz.*frequency"):
        BaselineWander(frequency=(0.1, 2)).check(4)


@pytest.mark.parametrize("cls", CLASSES)
@pytest.mark.parametrize("fs", [0, -100, float("nan"), float("inf")])
def test_no_augmentation_takes_a_rate_that_is_none(cls, fs):
    with pytest.raises(ValueError, match="sampling rate is a positive number"):
        cls().check(fs)
    with pytest.raises(ValueError, match="sampling rate is a positive number"):
        cls()(torch.randn(1, 1, 10), fs)


@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        (torch.zeros(2, 3, 4, dtype=torch.int16), TypeError, "floating-point tensor, not torch.int16"),
        ([[[1.0]]], TypeError, "floating-point tensor, not list"),
        (torch.zeros(2, 3), ValueError, r"\(samples, leads, time\), not a tensor of shape \(2, 3\)"),
        (torch.zeros(2, 3, 4, 5), ValueError, "shape"),
    ],
)
def test_signals_of_the_wrong_kind_are_refused(x, error, message):
    for augmentation in (Double(p=0), Compose([]), Views([Double()])):
        with pytest.raises(error, match=message):
            augmentation(x, 100)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Double(p=1.5), "p is a probability"),
        (lambda: Double(p=float("nan")), "p is a probability"),
        (lambda: GaussianNoise(sd=(0.2, 0.1)), "sd is a range"),
        (lambda: GaussianNoise(sd=(-1, 0.1)), "sd is a range .* 0 <= low"),
        (lambda: GaussianNoise(sd=0.1), "sd is a range"),
        (lambda: GaussianNoise(sd=(0, float("inf"))), "sd is a range"),
        (lambda: GaussianNoise(sd=(0, float("nan"))), "sd is a range"),
        (lambda: BaselineWander(frequency=(0.5, 0.1)), "frequency is a range"),
        (lambda: BaselineWander(components=0), "components"),
        (lambda: Powerline(frequencies=()), "frequencies"),
        (lambda: Powerline(frequencies=(50, -1)), "frequencies"),
        (lambda: AmplitudeScale(factor=(0, 1)), "factor is a range"),
        (lambda: TimeWarp(strength=1), "strength"),
        (lambda: TimeWarp(period=0), "period"),
        (lambda: CropResize(share=(0.5, 1.1)), "share is a range .* <= 1"),
        (lambda: TimeMask(share=(-0.1, 0.5)), "share is a range"),
        (lambda: TimeMask(spans=0), "spans"),
        (lambda: Views([], n=0), "number of views"),
        (lambda: OneOf([]), "at least one"),
        (lambda: SomeOf([]), "at least one"),
        (lambda: OneOf([Double()], weights=(1, 2)), "weights are 1 numbers"),
        (lambda: OneOf([Double()], weights=(-1,)), "weights"),
        (lambda: OneOf([Double()], weights=(0,)), "weights"),
        (lambda: SomeOf([Double()], n=(0, 2)), "n is a range .* <= 1"),
        (lambda: SomeOf([Double()], n=(-1, 1)), "n is a whole number"),
        (lambda: SomeOf([Double()], n=(0.5, 1)), "n is a whole number"),
        (lambda: TimeMask(spans=1.5), "spans is a whole number"),
        (lambda: BaselineWander(components=2.5), "components is a whole number"),
        (lambda: Views([], n=1.5), "number of views, is a whole number"),
    ],
)
def test_settings_out_of_range_are_refused(build, message):
    with pytest.raises(ValueError, match=message):
        build()


def test_a_setting_that_is_not_kept_is_said():
    class Forgetful(Augmentation):
        def __init__(self, level: float = 1.0, p: float = 0.5) -> None:
            super().__init__(p)

        def apply(self, x, fs, generator):
            return x

    with pytest.raises(AttributeError, match=r"Forgetful does not keep its argument as self\.level"):
        repr(Forgetful())


def test_a_change_of_length_for_some_samples_only_is_refused():
    for policy in (Compose([RandomCrop(1)], p=0.5), OneOf([RandomCrop(1), Double()])):
        with pytest.raises(ValueError, match="goes first in a Compose of p=1"):
            policy(torch.zeros(50, 1, 300), 100, seeded())
    assert Compose([RandomCrop(1), Double()])(torch.zeros(50, 1, 300), 100, seeded()).shape == (50, 1, 100)


def test_compose_takes_what_can_be_gone_through_once():
    assert len(Compose(a for a in [Double(), Double()]).augmentations) == 2


def test_only_augmentations_compose():
    for cls in (Compose, OneOf, SomeOf, RandomOrder):
        with pytest.raises(TypeError, match=f"{cls.__name__} takes a list of Augmentation objects"):
            cls([GaussianNoise])
    with pytest.raises(TypeError, match="list of Augmentation objects"):
        Views([], others=[GaussianNoise])


# ---- as a library


@pytest.mark.parametrize("cls", [*CLASSES, Compose, OneOf, SomeOf, RandomOrder, Views])
def test_every_setting_has_a_type_and_a_line_of_documentation(cls):
    for name, parameter in list(inspect.signature(cls.__init__).parameters.items())[1:]:
        assert parameter.annotation is not inspect.Parameter.empty
        assert f"\n        {name}: " in cls.__doc__
        assert name == "augmentations" or parameter.default is not inspect.Parameter.empty


def test_all_is_all():
    assert all(hasattr(augmentations, name) for name in augmentations.__all__)
    assert {cls.__name__ for cls in CLASSES} < set(augmentations.__all__)


def test_examples_in_the_documentation_run():
    for module in (augmentations, augmentations.base):
        result = doctest.testmod(module)
        assert result.attempted > 0
        assert result.failed == 0


def test_jsonargparse_builds_a_policy_from_yaml():
    jsonargparse = pytest.importorskip("jsonargparse")
    parser = jsonargparse.ArgumentParser(exit_on_error=False)
    parser.add_argument("--views", type=Views)
    settings = parser.parse_string(
        """
        views:
          class_path: augmentations.Views
          init_args:
            n: 3
            augmentations:
            - class_path: augmentations.Powerline
              init_args: {sd: [0.1, 0.2], frequencies: [50, 60]}
            - class_path: augmentations.Compose
              init_args:
                augmentations: [{class_path: augmentations.AmplitudeScale, init_args: {per_lead: true, p: 1}}]
        """
    )
    views = parser.instantiate(settings).views
    expected = Views([Powerline((0.1, 0.2), (50, 60)), Compose([AmplitudeScale(per_lead=True, p=1.0)])], n=3)
    assert repr(views) == repr(expected)
