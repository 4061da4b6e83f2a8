"""The relativistic average least-squares losses of a generator and its discriminator.

Jolicoeur-Martineau, The relativistic discriminator: a key element missing from standard GAN, ICLR 2019 (RaLSGAN): the
score C of a real frame is compared with the mean score of generated ones, and the other way round. Both losses are
halved, as in SwinTExCo's program. Means are over one process's batch.
"""

from torch import Tensor


def discriminator_loss(real: Tensor, made: Tensor) -> Tensor:
    """The discriminator's loss, [E(C(x_r) - E C(x_f) - 1)^2 + E(C(x_f) - E C(x_r) + 1)^2] / 2.

    Args:
        real: (B,), the discriminator's scores C of real frames x_r.
        made: (B,), its scores of generated frames x_f.

    Returns:
        A scalar, float32 also under autocast; 1 where all scores are equal, 0 where real exceeds made by 1.
    """
    real, made = real.float(), made.float()
    return ((real - made.mean() - 1).square().mean() + (made - real.mean() + 1).square().mean()) / 2


def generator_loss(real: Tensor, made: Tensor) -> Tensor:
    """The generator's loss, [E(C(x_f) - E C(x_r) - 1)^2 + E(C(x_r) - E C(x_f) + 1)^2] / 2; a scalar, float32.

    Args:
        real: (B,), the discriminator's scores C of real frames x_r.
        made: (B,), its scores of generated frames x_f.
    """
    return discriminator_loss(made, real)
