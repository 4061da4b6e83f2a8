"""The frames of a shot coloured from keyframes on both sides of each."""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property

import torch
from torch import Tensor

from flowchroma.color import rgb_to_lab, rgb_to_luma
from flowchroma.colorizers.estimate_files import EstimateFiles
from flowchroma.colorizers.painter import GrayFrame, enlarge, shrink
from flowchroma.models import FlowChroma
from flowchroma.models.estimate import Estimate
from flowchroma.models.state import ColouredFrame, Known, ReferenceMemory, State

_NEAREST = 4  # keyframes that a frame is matched with: the two around it, and the next ones


class ShotPainter:
    """Colours one shot, frame after frame, in memory that does not grow with it.

    A frame between two keyframes is estimated from both: on the way forward, from the frame before it, and on the way
    back from the next keyframe, which goes first; the system weighs both.
    Before the first keyframe the way forward knows the references alone.

    Args:
        system: the three networks.
        size: short side in pixels at which colour is computed, at most the film's own.
        start: number of the shot's first frame.
        stop: number of the frame after its last one.
        keyframes: frames whose colour is given, (1, 3, H, W) uint8 RGB, by number.
        references: pictures of something else, each (1, 3, h, w) uint8 RGB, of any size.
        backward_frames: called with the numbers of a first and a last frame, rising from call to call, gives each
            frame from that one up to but without this one, as the painter will be given it; None colours forward only.
        files: keep what was found on the way back.
        progress: called after each frame of the way back.
        valid: where a keyframe's colour is the frame's, (1, 1, H, W), bool, by number; elsewhere it is estimated, as in
            any other frame. Without an entry it is everywhere.
    """

    def __init__(
        self,
        system: FlowChroma,
        size: int,
        start: int,
        stop: int,
        keyframes: Mapping[int, Tensor],
        references: Sequence[Tensor],
        backward_frames: Callable[[int, int], Iterable[Tensor]] | None,
        files: EstimateFiles | None,
        progress: Callable[[], None] = lambda: None,
        valid: Mapping[int, Tensor] | None = None,
    ) -> None:
        self._system, self._size = system, size
        self._keyframes, self._references = dict(keyframes), references
        self._numbers, self._valid = sorted(keyframes), valid or {}
        self._stop, self._backward_frames, self._files, self._progress = stop, backward_frames, files, progress
        self.next = start  # number of the frame that comes next
        self.state: State | None = None  # after the last frame; None before the first
        self._span: tuple[int, int] | None = None
        self._encoded: dict[int, ReferenceMemory] = {}  # of the keyframes around

    def paint(self, rgb: Tensor) -> tuple[Tensor, Estimate]:
        """Colour the next frame, of which only the luminance is used.

        Args:
            rgb: (1, 3, H, W) uint8; float in [0, 1] for one of more than 8 bits.

        Returns:
            The frame, (1, 3, H, W) uint8, or int32 in [0, 65535]; and its colour with the expected error, as
            `Estimate.calibrated`, at the size at which it was computed.
        """
        frame = GrayFrame.of(rgb, self._size)
        ab, estimate = self.colour(frame.small)
        return frame.painted(ab), estimate

    def colour(self, luma: Tensor) -> tuple[Tensor, Estimate]:
        """Find the colour of the next frame.

        Args:
            luma: (1, 1, h, w), L at the size at which colour is computed.

        Returns:
            The colour, (1, 2, h, w) in CIELAB units, or of the keyframe's own size where it is given; and the same with
            the expected error, as `Estimate.calibrated`, at the size at which it is computed.
        """
        number, device = self.next, luma.device
        self._enter(number, device)
        assert self.state is not None
        given = self._keyframes.get(number)
        frame = self._advance(luma, self.state, number)
        self.state, self.next = frame.state, number + 1
        estimate = Estimate.of(frame, self._system.fusion.error_model).calibrated()
        if given is not None:
            ab = rgb_to_lab(given)[:, 1:]
            if number in self._valid:
                ab = torch.where(self._valid[number], ab, enlarge(frame.ab.float(), ab.shape[-2:]))
            return ab, estimate
        if self._has_backward(number):
            assert self._files is not None
            backward = self._files.get(number, device)
            estimate = self._system.fuse_directions(frame, backward, self._position(number))
        return estimate.ab, estimate

    def _advance(self, luma: Tensor, state: State, number: int) -> ColouredFrame:
        """Take a frame, with as much of its colour as is given."""
        if number not in self._keyframes:
            return self._system.advance(luma, state)
        ab = self._small[number][:, 1:]
        if number in self._valid:
            valid = shrink(self._valid[number].float(), self._size) > 0.5
            ab = torch.where(valid, ab, self._system.advance(luma, state).ab)
        return self._system.advance(luma, state, Known(ab))

    def _position(self, number: int) -> float | None:
        """Where a frame stands between two keyframes, 0 to 1; None where no keyframe is before it."""
        assert self._span is not None
        before, behind = self._span
        return None if before < 0 else (number - before) / (behind - before)

    def saved(self) -> State:
        """The state after the last frame, without what `resume` finds again in the pictures."""
        assert self.state is not None
        none = {name: value[:, :0] for name, value in vars(self.state.references).items() if name in ("keys", "lab")}
        return replace(self.state, references=ReferenceMemory(**none, image=self.state.references.image[:0]))

    def resume(self, state: State, number: int) -> None:
        """Go on at a frame, with what `saved` gave after the one before."""
        self.state, self.next = state, number

    def _enter(self, number: int, device: torch.device) -> None:
        """Where a span between keyframes begins, colour it backward, and match with the keyframes around it."""
        at = bisect_right(self._numbers, number)
        span = (self._numbers[at - 1] if at else -1, self._numbers[at] if at < len(self._numbers) else self._stop)
        if span == self._span:
            return
        self._span = span
        memory = self._memory(number, span[1])
        self.state = State(memory) if self.state is None else replace(self.state, references=memory)
        if self._backward_frames is not None and self._has_backward(number):
            self._look_back(number, span[1], memory, device)

    def _has_backward(self, number: int) -> bool:
        return self._backward_frames is not None and bool(self._numbers) and number < self._numbers[-1]

    def _look_back(self, number: int, keyframe: int, memory: ReferenceMemory, device: torch.device) -> None:
        """Estimate the frames before a keyframe from it, the last one first, down to `number`."""
        files, system = self._files, self._system
        assert files is not None
        assert self._backward_frames is not None
        first = number + 1 if number in self._keyframes else number
        if all(files.has(n) for n in range(first, keyframe)):
            return
        for n, rgb in enumerate(self._backward_frames(first, keyframe + 1), first):
            files.put_luma(n, shrink(rgb_to_luma(rgb), self._size))
        # A picture may have other tones than its frame: the film's luminance is what flow is found in.
        state = self._advance(files.take_luma(keyframe, device), State(memory), keyframe).state
        # Between keyframes the fusion of both sides shows what it makes of both; before the first there is one side.
        estimate = Estimate.of if self._position(number) is None else Estimate.propagated
        for n in range(keyframe - 1, first - 1, -1):
            frame = system.advance(files.take_luma(n, device), state)
            state = frame.state
            files.put(n, estimate(frame, system.fusion.error_model))
            self._progress()

    @cached_property
    def _small(self) -> dict[int, Tensor]:
        """Keyframes in CIELAB, at the computing size."""
        return {number: shrink(rgb_to_lab(rgb), self._size) for number, rgb in self._keyframes.items()}

    def _memory(self, number: int, last: int) -> ReferenceMemory:
        """References, and the keyframes that are nearest to the frames from `number` to `last`."""
        nearest = sorted(self._numbers, key=lambda n: max(number - n, n - last, 0))[:_NEAREST]
        for gone in self._encoded.keys() - set(nearest):
            del self._encoded[gone]
        for n in nearest:
            if n not in self._encoded:
                self._encoded[n] = self._system.start(self._small[n][:, None]).references
        memories = [self._encoded[n] for n in sorted(nearest)]
        if self._references:
            memories.append(self._of_references)
        return memories[0] if len(memories) == 1 else ReferenceMemory.join(memories)

    @cached_property
    def _of_references(self) -> ReferenceMemory:
        return self._system.start(
            *(shrink(rgb_to_lab(rgb), self._size)[:, None] for rgb in self._references)
        ).references
