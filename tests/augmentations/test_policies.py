"""Ready-made policies, and policies on disk."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import augmentations
from augmentations import (
    Augmentation,
    Compose,
    OneOf,
    TimeMask,
    Views,
    byol_ecg,
    centred_beat,
    from_dict,
    load,
    physiological,
    save,
    simclr_ecg,
    three_kg,
    to_dict,
)

POLICIES = [simclr_ecg, byol_ecg, three_kg, physiological, centred_beat]


class Mine(Augmentation):
    """An augmentation of a user's own."""

    def __init__(self, volt: float = 1.0, p: float = 0.5) -> None:
        super().__init__(p)
        self.volt = volt

    def apply(self, x, fs, generator):
        return x + self.volt


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("fs", [100, 500])
def test_policies_make_two_views_that_differ(policy, fs):
    x = torch.randn(32, 12, 4 * fs, generator=seeded())
    one, two = policy()(x, fs, seeded())
    assert one.shape == two.shape == x.shape
    assert ((one - two).abs().amax((1, 2)) > 0.01).float().mean() > 0.9
    assert torch.equal(one, policy()(x, fs, seeded())[0])


@pytest.mark.parametrize("policy", POLICIES)
def test_policies_compile_into_one_graph(policy):
    torch.compiler.reset()
    views = policy()
    x = torch.randn(4, 12, 500, generator=seeded())
    made = torch.compile(lambda x: views(x, 250), fullgraph=True, backend="eager")(x)
    assert all(view.shape == x.shape and view.isfinite().all() for view in made)


def test_settings_of_a_policy_reach_what_they_set():
    assert "share=(0.7, 1.0)" in repr(simclr_ecg(crop=0.7))
    assert "degrees=(-20, 20)" in repr(three_kg(angle=20)) or "degrees=(-20.0, 20.0)" in repr(three_kg(angle=20))
    assert repr(physiological(2.0)) != repr(physiological())
    x = torch.ones(4, 1, 1000)
    assert (simclr_ecg(mask=0)(x, 100, seeded())[0] == 0).sum() == 0


def test_physiological_leaves_rate_and_lead_geometry():
    """Where beats are and how leads relate is kept: each lead is the original times one gain, plus noise."""
    time = torch.arange(1000) / 100
    beats = torch.exp(-0.5 * ((time % 0.8 - 0.4) / 0.02) ** 2)
    leads = torch.tensor([1.0, -0.5, 2.0])[:, None] * beats
    x = leads.expand(300, -1, -1).contiguous()
    view = physiological(strength=0.5)(x, 100, seeded())[0]
    centred = view - view.mean(-1, keepdim=True)
    gain = (centred * (beats - beats.mean())).sum(-1) / (beats - beats.mean()).square().sum()
    ratio = gain / gain[:, :1]
    assert (ratio.median(0).values - torch.tensor([1.0, -0.5, 2.0])).abs().max() < 0.05
    correlation = torch.stack([torch.corrcoef(torch.stack([v, beats]))[0, 1] for v in view[:, 2]])
    assert correlation.median() > 0.9


def test_byol_views_differ_in_kind():
    assert len(repr(byol_ecg()).split("others")) == 2
    x = torch.randn(200, 2, 1000, generator=seeded()) + 5
    one, two = byol_ecg()(x, 100, seeded())
    assert (one == 0).any(-1).any(-1).float().mean() > 0.5  # masked
    assert not (two == 0).any()


@pytest.mark.parametrize("policy", POLICIES)
def test_policies_print_and_store_themselves(policy, tmp_path):
    views = policy()
    assert repr(eval(repr(views), dict(vars(augmentations)))) == repr(views)
    assert repr(from_dict(to_dict(views))) == repr(views)
    save(views, tmp_path / "policy.yaml")
    assert repr(load(tmp_path / "policy.yaml")) == repr(views)
    assert [path.name for path in tmp_path.iterdir()] == ["policy.yaml"]
    assert (tmp_path / "policy.yaml").stat().st_mode & 0o044 == 0o044, "others may read it"


def test_a_strength_of_zero_is_no_noise():
    x = torch.randn(64, 3, 1000, generator=seeded())
    view = physiological(strength=0)(x, 500, seeded())[0]
    assert (view / x).std(-1).max() < 1e-4


@settings(max_examples=20, deadline=None)
@given(st.floats(0, 0.5), st.floats(0.5, 1), st.integers(1, 9), st.floats(0, 1))
def test_numbers_survive_the_file(low, high, spans, p):
    policy = Compose([TimeMask((low, high), spans, p), OneOf([TimeMask(), Mine(volt=low)], weights=(1, 2))], p)
    again = from_dict(to_dict(policy))
    assert repr(again) == repr(policy)
    x = torch.randn(4, 2, 50, generator=seeded())
    assert torch.equal(again(x, 100, seeded()), policy(x, 100, seeded()))


def test_a_saved_policy_is_what_a_recipe_holds(tmp_path):
    jsonargparse = pytest.importorskip("jsonargparse")
    save(byol_ecg(), tmp_path / "policy.yaml")
    parser = jsonargparse.ArgumentParser(exit_on_error=False)
    parser.add_argument("--views", type=Views)
    text = "views:\n" + "".join(f"  {line}\n" for line in (tmp_path / "policy.yaml").read_text().splitlines())
    assert repr(parser.instantiate(parser.parse_string(text)).views) == repr(byol_ecg())
    parsed = parser.parse_string("views: {class_path: augmentations.simclr_ecg, init_args: {crop: 0.6}}")
    assert repr(parser.instantiate(parsed).views) == repr(simclr_ecg(crop=0.6))


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("class_path: augmentations.Nothing", ValueError, "there is no augmentations.Nothing"),
        ("class_path: nowhere.Nothing", ValueError, "there is no nowhere.Nothing"),
        ("class_path: augmentations.TimeMask\ninit_args: {shares: 1}", TypeError, "shares"),
        ("class_path: augmentations.TimeMask\ninit_args: {p: 7}", ValueError, "p is a probability"),
        ("class_path: pathlib.Path", TypeError, "neither an Augmentation, nor Views"),
        ("class_path: os.mkdir\ninit_args: {path: made}", TypeError, "neither an Augmentation, nor Views"),
        ("views: 3", ValueError, "class_path and init_args"),
        ("- [", ValueError, "policy.yaml"),
    ],
)
def test_a_file_that_is_no_policy_is_named(tmp_path, text, error, message):
    (tmp_path / "policy.yaml").write_text(text)
    with pytest.raises(error, match=message) as caught:
        load(tmp_path / "policy.yaml")
    assert "policy.yaml" in str(caught.value)


def test_what_a_file_cannot_keep_is_said_and_nothing_is_left(tmp_path):
    with pytest.raises(TypeError, match=r"Mine.volt is a Tensor.*cannot keep"):
        save(Mine(volt=torch.ones(3)), tmp_path / "policy.yaml")
    assert not list(tmp_path.iterdir())
