"""The usual order: each level alone, those before it frozen, then all together."""

from __future__ import annotations

from .stage_config import StageConfig


def default_stages(
    steps: tuple[int, ...],
    joint_steps: int = 0,
    learning_rate: float = 1e-3,
    joint_learning_rate: float = 3e-4,
    patience: int | None = 8,
) -> tuple[StageConfig, ...]:
    """One stage for each level, of at most ``steps[i]`` steps, then a joint one (de Vos et al. 2019).

    Args:
        steps: at most so many for each level alone; one level for each number.
        joint_steps: of the joint stage, 0 for none; every level's output counts in it, an earlier
            one half as much as the next, so that a prefix of the levels stays useful.
        learning_rate, joint_learning_rate: of the single and of the joint stage.
        patience: see :class:`StageConfig`.
    """
    stages = [
        StageConfig(
            name=f"level-{level + 1}",
            levels=level + 1,
            frozen=tuple(range(level)),
            output_weights=(0.0,) * level + (1.0,),
            learning_rate=learning_rate,
            max_steps=count,
            patience=patience,
        )
        for level, count in enumerate(steps)
    ]
    if joint_steps > 0:
        stages.append(
            StageConfig(
                name="joint",
                levels=len(steps),
                output_weights=tuple(0.5**i for i in reversed(range(len(steps)))),
                learning_rate=joint_learning_rate,
                max_steps=joint_steps,
                patience=patience,
            )
        )
    return tuple(stages)
