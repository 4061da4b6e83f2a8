"""The relativistic average least-squares game between a generator and a discriminator.

Jolicoeur-Martineau, The relativistic discriminator: a key element missing from standard GAN, ICLR 2019 (RaLSGAN): the
discriminator says how much more real the real is than the made on average, and the other way round. Both sides are
halved, as in SwinTExCo's program. Averages are over one process's batch.
"""

from torch import Tensor


def discriminator_loss(real: Tensor, made: Tensor) -> Tensor:
    """What the discriminator lowers: [E(C(x_r) - E C(x_f) - 1)^2 + E(C(x_f) - E C(x_r) + 1)^2] / 2.

    Args:
        real: (B,), what the discriminator says of real frames.
        made: (B,), what it says of made ones.

    Returns:
        A scalar, float32 also under autocast; 1 where it cannot tell them apart, 0 where real exceeds made by 1.
    """
    real, made = real.float(), made.float()
    return ((real - made.mean() - 1).square().mean() + (made - real.mean() + 1).square().mean()) / 2


def generator_loss(real: Tensor, made: Tensor) -> Tensor:
    """What the generator lowers: the same with the sides changed. See `discriminator_loss`."""
    return discriminator_loss(made, real)
