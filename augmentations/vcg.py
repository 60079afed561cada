"""The heart as one dipole that moves in space: 12 leads seen through the vectorcardiogram (VCG) of three.

The axes are Frank's: x to the patient's left, y to the feet, z to the back. The leads are in the usual order: I,
II, III, aVR, aVL, aVF, V1 to V6. I, II and V1 to V6 are independent; the other four follow from I and II by the
laws of Einthoven and Goldberger.

References: Dower et al., On deriving the electrocardiogram from vectorcardiographic leads, Clinical Cardiology
1980, https://doi.org/10.1002/clc.1980.3.2.87; Edenbrandt & Pahlm, Vectorcardiogram synthesized from a 12-lead
ECG: superiority of the inverse Dower matrix, Journal of Electrocardiology 1988, 21(4), 361-367.
"""

import torch
from torch import Tensor

from augmentations.base import Augmentation
from augmentations.leads import mix_leads
from augmentations.ranges import Range, check_range, constant, draw, draw_log

_INDEPENDENT = (0, 1, 6, 7, 8, 9, 10, 11)  # I, II, V1 to V6 among the 12
_DOWER = torch.tensor(
    [
        [0.632, -0.235, 0.059],  # I, from x, y, z
        [0.235, 1.066, -0.132],  # II
        [-0.515, 0.157, -0.917],  # V1
        [0.044, 0.164, -1.387],
        [0.882, 0.098, -1.277],
        [1.213, 0.127, -0.601],
        [1.125, 0.127, -0.086],
        [0.831, 0.076, 0.230],  # V6
    ],
    dtype=torch.float64,
)
_LIMBS = torch.tensor([[1, 0], [0, 1], [-1, 1], [-0.5, -0.5], [1, -0.5], [-0.5, 1]], dtype=torch.float64)

# Plain numbers, which become tensors where the signal is. The inverse of Edenbrandt & Pahlm is the least-squares
# one, printed with three digits; computed here, it undoes Dower's to the last.
_FROM_VCG: list[list[float]] = torch.cat([_LIMBS @ _DOWER[:2], _DOWER[2:]]).tolist()
_none = torch.zeros(3, 12, dtype=torch.float64)
_TO_VCG: list[list[float]] = _none.index_copy(1, torch.tensor(_INDEPENDENT), torch.linalg.pinv(_DOWER)).tolist()


def vcg_matrices(like: Tensor) -> tuple[Tensor, Tensor]:
    """The inverse Dower matrix, (3, 12), and Dower's, (12, 3), in float32 or a signal's float64, on its device.

    vcg = inverse @ leads, with zeros for the dependent leads, and leads = dower @ vcg. inverse @ dower is the identity;
    dower @ inverse is a projection, onto what a dipole can look like in 12 leads.
    """
    inverse, dower = constant(_TO_VCG, like), constant(_FROM_VCG, like)
    return inverse, dower


def change_vcg(x: Tensor, change: Tensor, keep_residual: bool = True) -> Tensor:
    """Applies a linear map of (x, y, z), (B, 3, 3), float32 at least, to the dipole that 12 leads, (B, 12, T), see.

    With `keep_residual` what no dipole explains stays as it is, otherwise it is lost. A ValueError refuses signals that
    have not 12 leads; they have to be in the usual order.
    """
    if x.shape[1] != 12:
        raise ValueError(
            f"a vectorcardiogram is made from the 12 leads I, II, III, aVR, aVL, aVF, V1 to V6, not from {x.shape[1]}:"
            " for other sets of leads use LeadMixing instead of VCGRotation and VCGScale"
        )
    inverse, dower = vcg_matrices(x)
    outer = dower.T[:, None, :, None] * inverse[None, :, None, :]  # (3, 3, 12, 12): what each entry of a map does
    still, own = (torch.eye(n, device=x.device, dtype=change.dtype) for n in (3, 12))
    if keep_residual:
        change = change - still
    matrix = (change.flatten(1) @ outer.reshape(9, 144)).view(-1, 12, 12)
    return mix_leads(x, matrix + own if keep_residual else matrix)


def rotations(angle: Tensor) -> Tensor:
    """Rotation matrices for angles in rad about x, y and z, (B, 3): R_z R_y R_x, (B, 3, 3), each right-handed."""
    (a, b, c), (u, v, w) = angle.cos().unbind(1), angle.sin().unbind(1)
    rows = [c * b, c * v * u - w * a, c * v * a + w * u]
    rows += [w * b, w * v * u + c * a, w * v * a - c * u]
    rows += [-v, b * u, b * a]
    return torch.stack(rows, dim=1).view(-1, 3, 3)


class VCGRotation(Augmentation):
    """Turns the heart in space: 12 leads become a vectorcardiogram, which is rotated and seen by 12 leads again.

    The length of the heart's vector stays at every moment; its direction, so the electrical axis, the height of waves
    in each lead and the transition of the R wave over the chest change. Rhythm, widths and intervals stay, and
    Einthoven's law I + III = II. A rotation by zero degrees changes nothing with `keep_residual`; without, it is the
    projection onto what a dipole can look like (`vcg_matrices`). The call refuses other than 12 leads by a ValueError.

    Reference: Gopal et al., 3KG, ML4H 2021, https://arxiv.org/abs/2106.04452, which has no residual.

    Args:
        degrees: Range of each angle, -180 to 180, about x (to the left), then y (to the feet), then z (to the back).
        keep_residual: Keep what no dipole explains (noise, the muscle under a chest electrode). Otherwise it is lost.
        p: Probability that a sample is changed, 0 to 1.
    """

    def __init__(self, degrees: Range = (-45.0, 45.0), keep_residual: bool = True, p: float = 0.5) -> None:
        super().__init__(p)
        self.degrees = check_range("degrees", degrees, least=-180, most=180)
        self.keep_residual = keep_residual

    def apply(self, x: Tensor, fs: float, generator: torch.Generator | None) -> Tensor:
        degrees = draw(self.degrees, (len(x), 3), x, generator)
        return change_vcg(x, rotations(degrees.deg2rad()), self.keep_residual)


class VCGScale(Augmentation):
    """Stretches the heart's vector along the three axes of space: 12 leads to a vectorcardiogram, and back.

    Each factor is log-uniform in a range. Amplitudes and the electrical axis change; rhythm, widths and intervals
    stay, and Einthoven's law I + III = II. Factors of 1 change nothing with `keep_residual`; without, they are the
    projection onto what a dipole can look like (`vcg_matrices`). The call refuses other than 12 leads by a ValueError.

    Reference: Gopal et al., 3KG, ML4H 2021, https://arxiv.org/abs/2106.04452, which has no residual.

    Args:
        factor: Range of the factor, above 0, along each of x (to the left), y (to the feet) and z (to the back).
        keep_residual: Keep what no dipole explains (noise, the muscle under a chest electrode). Otherwise it is lost.
        p: Probability that a sample is changed, 0 to 1.
    """

    def __init__(self, factor: Range = (0.67, 1.5), keep_residual: bool = True, p: float = 0.5) -> None:
        super().__init__(p)
        self.factor = check_range("factor", factor, least=1e-6)
        self.keep_residual = keep_residual

    def apply(self, x: Tensor, fs: float, generator: torch.Generator | None) -> Tensor:
        factor = draw_log(self.factor, (len(x), 3), x, generator)
        return change_vcg(x, factor.diag_embed(), self.keep_residual)
