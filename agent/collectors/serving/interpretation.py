"""From the text of a page to readings: by every profile that the page is of.

A page can be of several: of Triton and of vLLM as its back end, of Ray Serve and of the engines on the
node. Each is told under its own provider, so nothing is counted twice under one name; the outermost one
names the server.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from agent.collectors.exposition import Faults, Page, Parser
from agent.collectors.scrape import Body, ScrapeError, overfull, text_of
from agent.collectors.serving.detection import detect, is_exposition, spoken_on
from agent.collectors.serving.mapping import Translation
from agent.collectors.serving.profile import Profile
from agent.collectors.serving.succession import Succession
from agent.snapshot import Problem, Reading

_LOOK_AGAIN: Final = 60
"""Pages after which one is looked at for families of other servers though it declares no new ones."""

_Readers = Mapping[str, tuple[Profile, Translation]]
_NO_READERS: Final[_Readers] = {}


class Interpreter:
    """Reads the pages of one server and remembers what they look like.

    ``profiles`` are those that it may be, outermost first; with ``configured`` it is only that one.
    ``model`` names the model where the server's labels name none.
    """

    def __init__(
        self,
        server: str,
        profiles: Sequence[Profile],
        *,
        configured: Profile | None = None,
        model: str = "",
    ) -> None:
        self._server = server
        self._profiles = profiles
        self._configured = configured
        self._model = model
        self._parser = Parser(())
        self._readers: _Readers = {}
        self._succession = Succession()
        self._pages = 0
        self._types: Mapping[str, str] = {}
        self.provider = configured.name if configured else ""
        """The kind of server; empty until it has answered once. Kept while it is down."""

    def read(self, body: Body, shown: str) -> tuple[list[Reading], tuple[Problem, ...]]:
        """Turn a page into readings. Raises `ScrapeError` where it is not a known server's."""
        text, undecodable, cut = text_of(body, shown)
        first = not self._readers and self._look_at(text, shown)
        page = self._parsed(text, shown)
        if not first and not self._is_familiar(page) and self._look_at(text, shown):
            page = self._parsed(text, shown)
        self._types = page.types
        faults = Faults(self._server)
        faults.add_text(undecodable=undecodable, cut=cut)
        faults.add_page(page)
        profiles = [profile for profile, _ in self._readers.values()]
        another = self._succession.is_another(page, profiles)
        if another:  # which part of a sum was lost, and which was not, is known: all of it
            self._readers = self._read_by(profiles)
        readings: list[Reading] = []
        for _, translation in self._readers.values():
            readings += translation.readings(page, faults)
        return self._succession.told(readings, another=another), faults.problems()

    def _is_familiar(self, page: Page) -> bool:
        """Tell whether the page declares what the last one did, and is of the same server.

        Families that come and go are declared; where none is, a page is looked at now and then.
        """
        self._pages += 1
        if page.types is not self._types or self._pages % _LOOK_AGAIN == 0:
            return False
        profile, _ = next(iter(self._readers.values()))
        return not profile.samples.isdisjoint(page.samples)

    def _parsed(self, text: str, shown: str) -> Page:
        page = self._parser.parse(text)
        if page.overfull:
            raise overfull(shown)
        return page

    def _look_at(self, text: str, shown: str) -> bool:
        """Find out whose page it is, and tell whether that was not known.

        Another kind of server may have taken over the address.
        """
        found = (
            detect(text, self._profiles)
            if self._configured is None
            else spoken_on(text, self._configured)
        )
        if not found:
            raise _unrecognised(text, detect(text, self._profiles), self._configured, shown)
        known = self._readers
        if known and next(iter(known)) == found[0].name:
            # Families of an engine come and go with it; what was known of it is still true.
            found = (*found, *(p for name, (p, _) in known.items() if name not in _names(found)))
        if [profile for profile, _ in known.values()] == list(found):
            return False
        kept = {name: reader for name, reader in known.items() if reader[0] in found}
        self._readers = self._read_by(found, kept)
        self._parser.want(name for profile in found for name in profile.wanted)
        self.provider = found[0].name
        return True

    def _read_by(self, profiles: Sequence[Profile], kept: _Readers = _NO_READERS) -> _Readers:
        """Return what reads pages by these profiles; those that are ``kept`` know their pages already."""
        return {
            profile.name: kept.get(profile.name)
            or (profile, Translation(profile, self._server, self._model))
            for profile in profiles
        }


def _names(profiles: Sequence[Profile]) -> set[str]:
    return {profile.name for profile in profiles}


def _unrecognised(
    text: str, found: Sequence[Profile], configured: Profile | None, shown: str
) -> ScrapeError:
    if not is_exposition(text):
        detail = f"{shown} answers something else than metrics; check its path"
        return ScrapeError("not_metrics", detail)
    if configured is None:
        detail = (
            f"{shown} gives metrics, but of no model server that is known; `warpwatch scan` prints a "
            "profile to configure"
        )
    elif not found:
        detail = f"{shown} gives metrics, but none of {configured.name}; check its URL and profile"
    else:
        detail = (
            f"{shown} is configured as {configured.name} and gives metrics of {found[0].name}; "
            "correct or remove its profile"
        )
    return ScrapeError("unknown_server", detail)
