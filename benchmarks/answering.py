"""How long each command takes to say what it can do, or that an option is wrong, beside `import torch`.

python benchmarks/answering.py prints a table of processor times, and fails where one exceeds its limit.
"""

import os
import subprocess
import sys

COMMANDS = ("run", "colorize", "plan", "evaluate", "prepare", "compare", "rollouts", "demo", "export", "ship", "studio")
ANSWERS = [[command, "--help"] for command in COMMANDS] + [
    ["run", "--hydra-help"],
    ["run", "--nope"],
    ["run", "nope=1"],
    ["run", "model=nope"],
    ["run", "data.batch_size=0", "hydra.run.dir=outputs/benchmark_answering"],
    ["run", "+experiments=nope"],
    ["colorize", "nope=1"],
    ["colorize", "-m", "nope=1"],
    ["plan", "nope=1"],
    ["evaluate", "nope=1"],
    ["evaluate", "method=nope"],
    ["prepare", "data=nope"],
    ["compare", "nope.nope=1", "--nope"],
    ["demo", "nope=1"],
    ["export", "nope=1"],
    ["studio", "nope=1"],
]
LIMIT = 2.5  # times `import torch`, which takes 1.2 s of an idle machine: 3 s


def seconds(*command: str) -> float:
    """Processor time of a Python process and of all that it starts; it runs twice, and the shorter one counts."""
    return min(_once(command) for _ in range(2))


def _once(command: tuple[str, ...]) -> float:
    before = os.times()
    subprocess.run([sys.executable, *command], capture_output=True, check=False)
    after = os.times()
    return (after.children_user + after.children_system) - (before.children_user + before.children_system)


def ratio(answer: list[str], torch: float) -> float:
    """Processor time of an answer over that of `import torch`."""
    return seconds("-m", f"flowchroma.{answer[0]}", *answer[1:]) / torch


def main() -> None:
    """Print the table."""
    torch = seconds("-c", "import torch")
    print(f"{'import torch':40} {torch:5.2f} s of processor time")
    slow = []
    for answer in ANSWERS:
        times = ratio(answer, torch)
        print(f"{' '.join(answer):40} {times * torch:5.2f} s, {times:4.2f} times")
        slow += [answer] if times > LIMIT else []
    sys.exit(f"slower than {LIMIT} times import torch: {slow}" if slow else 0)


if __name__ == "__main__":
    main()
