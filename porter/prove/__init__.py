# SPDX-FileCopyrightText: 2026 The steel-port authors
# SPDX-License-Identifier: BSD-3-Clause
"""Overlay -> Proof: four rings, each a list of claims with their witnesses.

Upstream's side of every comparison is made from bytes whose digest stands in the pin, the port's from the files that
stand in the overlay. A claim that cannot be examined (a tool is missing, a witness cannot be fetched) is a proof with
the status `not run` and the reason: it never counts as proved.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

from porter.errors import SteelPortError
from porter.model import Corpus, Proof, Ring, Sources, Status
from porter.port.target import Target, load_target
from porter.spec import Family

Progress = Callable[[str, int, "int | None"], None]
Examine = Callable[[], "Proof | tuple[Proof, ...] | None"]

_LIBRARY = "Apple's compiled library"


@dataclass(frozen=True)
class Claim:
    """What is to be examined, so that it can be reported even where it cannot be."""

    ring: Ring
    claim: str
    witness: str
    examine: Examine


@dataclass(frozen=True)
class Case:
    """Everything that the rings read, for one family."""

    sources: Sources
    corpus: Corpus
    families: tuple[Family, ...]
    family: Family
    overlay_root: Path
    target: Target
    jobs: int
    progress: Progress
    recall: bool = True

    @cached_property
    def library(self) -> Path:
        """Apple's compiled library of the pinned release. Raises UpstreamError where there is none."""
        from porter.upstream.providers.wheel import metallib_of

        return metallib_of(self.sources.pin.tag or self.sources.pin.revision, progress=self.progress)

    def claims(self, ring: Ring) -> Iterator[Claim]:
        yield from {
            Ring.NAMES: self._names,
            Ring.LAYOUTS: self._layouts,
            Ring.CODE: self._code,
            Ring.OUTPUTS: self._outputs,
        }[ring]()

    def _names(self) -> Iterator[Claim]:
        from porter.prove import names, selection

        family, overlay = self.family, (self.corpus, self.family, self.overlay_root, self.target)
        table = names.TABLE_CLAIM
        yield Claim(
            Ring.NAMES, table, _LIBRARY, lambda: names.against_library(self.sources, self.corpus, family, self.library)
        )
        yield Claim(
            Ring.NAMES, table, "upstream's .metal file", partial(names.against_text, self.sources, self.corpus, family)
        )
        said = partial(names.arguments_say_what_names_say, self.corpus, family)
        yield Claim(Ring.NAMES, names.ARGUMENTS_CLAIM, "Apple's names, upstream's header", said)
        emitted = names.EMITTED_CLAIM
        yield Claim(Ring.NAMES, emitted, "emitted .metal file", partial(names.emitted_metal, *overlay))
        yield Claim(Ring.NAMES, emitted, "emitted host table", partial(names.emitted_host_table, *overlay))
        chosen = partial(selection.prove_selection, self.sources, family, self.overlay_root, self.target)
        yield Claim(Ring.NAMES, selection.YAML_CLAIM, "MLX's host code or specs/", chosen)

    def _layouts(self) -> Iterator[Claim]:
        from porter.prove import layouts

        overlay = (self.corpus, self.family, self.overlay_root, self.target)
        yield Claim(
            Ring.LAYOUTS, layouts.CLAIM, "both compilers", partial(layouts.prove_layouts, self.sources, *overlay)
        )
        yield Claim(Ring.LAYOUTS, layouts.CLAIM, _LIBRARY, lambda: layouts.against_library(*overlay, self.library))

    def _code(self) -> Iterator[Claim]:
        from porter.prove import blame, code, interface

        everything = (self.sources, self.corpus, self.family, self.overlay_root, self.target)
        yield Claim(Ring.CODE, interface.CLAIM, "both syntax trees", partial(interface.prove_interface, *everything))
        yield Claim(
            Ring.CODE,
            interface.COMPILED_CLAIM,
            _LIBRARY,
            lambda: interface.prove_compiled_interface(*everything, self.library),
        )
        blamer = blame.blamer(self.sources, self.corpus, self.families, self.target)
        bodies = partial(code.prove_bodies, *everything, self.jobs, self.progress, blamer, self.recall)
        yield Claim(Ring.CODE, code.CLAIM, code.WITNESS, bodies)
        flat = partial(code.prove_flattened, self.family, self.overlay_root, self.target)
        yield Claim(Ring.CODE, code.FLAT_CLAIM, code.FLAT_WITNESS, flat)

    def _outputs(self) -> Iterator[Claim]:
        def examine() -> tuple[Proof, ...]:
            from porter.prove.outputs import prove_outputs

            return prove_outputs(self.family, self.corpus, self.overlay_root, self.target, self.jobs, self.progress)

        yield Claim(Ring.OUTPUTS, "the ported kernels compute what MLX computes", "MLX's arrays and numpy", examine)


def verify(
    sources: Sources,
    corpus: Corpus,
    families: tuple[Family, ...],
    overlay_root: Path,
    *,
    rings: Iterable[Ring] | None = None,
    target: str = "pytorch-2.13",
    jobs: int = 2,
    progress: Progress = lambda *_: None,
    recall: bool = True,
) -> tuple[Proof, ...]:
    """Run `rings` (all by default) for `families` on the overlay under `overlay_root` (generated/).

    Raises nothing for a ring that cannot be run, see above; SpecError where `target` is unknown.
    """
    loaded = load_target(target)
    proofs: list[Proof] = []
    for ring in rings or Ring:
        for family in families:
            case = Case(sources, corpus, families, family, overlay_root, loaded, jobs, progress, recall)
            for claim in case.claims(ring):
                proofs += examine(claim, family)
    return tuple(proofs)


def examine(claim: Claim, family: Family) -> tuple[Proof, ...]:
    """What came of one claim; `not run` where an error or a missing package kept it from being examined."""
    try:
        found = claim.examine()
    except SteelPortError as error:
        why = str(error)
    except ImportError as error:
        why = f"the package {error.name} is missing\n  next: pip install 'steel-port[verify]'"
    else:
        return () if found is None else found if isinstance(found, tuple) else (found,)
    return (Proof(claim.ring, family.name, claim.claim, claim.witness, Status.NOT_RUN, 0, why),)
