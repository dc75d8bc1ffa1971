"""Batches: many examples in a request, in NDJSON, VW's text or as an Arrow stream, answered in the same form.

Between slices of a batch other requests have their turn. A request with an Idempotency-Key that is sent again, after
its answer was lost or the server was killed, teaches each example once: the journal has with the examples of a slice
how far the request had come.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Sequence
from typing import Any

from vwlite.http.calls import ARROW, JSON, NDJSON, TEXT, Answer, Call, decoded, encode
from vwlite.http.decisions import Bandit
from vwlite.http.entries import Header, labels_of, split
from vwlite.http.messages import LABEL, LEARN, PREDICT
from vwlite.http.model import ERROR, Model
from vwlite.http.problems import Problem
from vwlite.http.records import Label
from vwlite.http.service import RETRY, Service
from vwlite.http.state import Request
from vwlite.http.turns import Turn

SLICE = 250  # examples
LONGEST_KEY = 200
REPEATED = b'{"repeated": true}'


class Batches:
    """Runs batches.

    Args:
        service: The service.

    Attributes:
        open: Keys of requests that are being processed.
    """

    def __init__(self, service: Service) -> None:
        self.service = service
        self.house = service.house
        self.open: dict[tuple[str, str], Header] = {}

    async def run(self, call: Call, model: Model, what: str) -> Answer:
        """Runs a batch.

        Args:
            call: The request.
            model: The model.
            what: "predict", "learn" or "label".

        Returns:
            An answer for each example, in the same order.

        Raises:
            Problem: If the batch is none.
        """
        media = call.media
        if media not in (NDJSON, TEXT[:10], ARROW) or (what == "label" and media != NDJSON):
            names = "application/json, application/x-ndjson"
            if what != "label":
                names += ", text/plain (VW's text), application/vnd.apache.arrow.stream"
            raise Problem(415, f"the Content-Type is {media.decode('latin-1') or 'none'}; send {names}")
        content = await call.body()
        header = None
        key = call.headers.get(b"idempotency-key")
        if key is not None and what != "predict":
            found = self.begin(model, key, content)
            if isinstance(found, Answer):
                return found
            header = found
        model.open += 1
        try:
            if media == NDJSON:
                return await self.ndjson(model, what, content, header)
            if media == ARROW:
                from vwlite.http.tables import arrow

                return await arrow(self, model, what, content, call.query, header)
            return await self.text(model, what, content, header)
        finally:
            model.open -= 1
            if header is not None:
                self.open.pop((model.uid, header.key), None)

    def begin(self, model: Model, key: bytes, content: bytes) -> Header | Answer:
        """The header for a request with a key; or the answer, if it was answered before. Raises Problem."""
        if not 0 < len(key) <= LONGEST_KEY or not all(32 < c < 127 for c in key):
            raise Problem(400, f"an Idempotency-Key has 1 to {LONGEST_KEY} visible characters of ASCII")
        name, digest = key.decode("ascii"), hashlib.sha256(content).digest()
        if (model.uid, name) in self.open:
            raise Problem(409, "a request with this Idempotency-Key is being processed", headers={"Retry-After": "1"})
        try:
            known = self.house.state.request(model.uid, name)
        except sqlite3.Error as error:
            raise Problem(503, f"keys of requests can't be looked up: {error}", headers=RETRY) from error
        if known is not None and known.digest != digest:
            raise Problem(422, "this Idempotency-Key was used for another request: give each its own")
        if known is not None and known.answer is not None:
            return Answer(known.answer, known.status, media_of(known.answer), {"Idempotency-Replayed": "true"})
        header = Header(model.uid, key=name, digest=digest, done=0 if known is None else known.done)
        self.open[(model.uid, name)] = header
        return header

    # NDJSON

    async def ndjson(self, model: Model, what: str, content: bytes, header: Header | None) -> Answer:
        """Runs lines of JSON."""
        lines = [(number, line) for number, line in enumerate(content.split(b"\n"), 1) if line.strip()]
        self.require_size(len(lines))
        output: list[bytes] = []
        failed = entry = 0
        done = 0 if header is None else header.done
        if done:
            output += [REPEATED] * min(done, len(lines))
        turn = Turn()
        for start in range(done, len(lines), SLICE):
            part = lines[start : start + SLICE]
            answers, number = self.slice(model, what, part, header, start + len(part))
            entry = number or entry
            failed += sum(answer.startswith(b'{"error"') for answer in answers)
            output += answers
            if await turn.over() and model.gone:
                raise Problem(410, f"the model was deleted or replaced after {start + len(part)} examples")
        summary: dict[str, Any] = {"done": len(lines) - failed, "failed": failed, "model": model.id}
        if what != "predict":
            summary["examples"] = model.examples
        output.append(encode(summary))
        answer = await self.finish(header, entry, Answer(b"\n".join(output) + b"\n", 200, NDJSON))
        if what != "predict" and len(lines) > failed:
            self.house.tell("learn", model, examples=len(lines) - failed)
        return answer

    def require_size(self, count: int) -> None:
        """Raises Problem for a batch that is too large."""
        if count > self.service.settings.max_batch:
            most = self.service.settings.max_batch
            raise Problem(413, f"{count:,} examples, of which at most {most:,} go into a batch (--max_batch)")

    async def finish(self, header: Header | None, entry: int, answer: Answer) -> Answer:
        """Waits until all is in the journal; stores the answer to a request with a key; returns it."""
        await self.house.commits.wait(entry)
        if header is not None:
            self.store(header, answer)
        return answer

    def store(self, header: Header, answer: Answer) -> None:
        """Stores the answer to a request with a key, for when it comes again."""
        state = self.house.state
        known = state.request(header.model, header.key)
        done = 1 if known is None else known.done
        try:
            state.note_request(header.model, header.key, Request(header.digest, done, answer.status, answer.body))
            state.commit()
        except sqlite3.Error as error:  # then its examples are known to be done, without their answers
            state.roll_back()
            self.service.log.warning("the answer to a request with a key can't be stored", why=str(error))

    def slice(
        self, model: Model, what: str, part: Sequence[tuple[int, bytes]], header: Header | None, done: int
    ) -> tuple[list[bytes], int]:
        """Runs some lines; returns their answers in JSON, and the entry of the journal."""
        if isinstance(model.kind, Bandit) or what == "label":
            return self.one_by_one(model, what, part, header, done)
        writer, kind = model.writer, model.kind
        decoder: Any = PREDICT if what == "predict" else LEARN
        answers: list[bytes] = [b""] * len(part)
        records: list[dict[str, Any]] = []
        labels: list[Label] = []
        weights: list[float | None] = []
        places: list[int] = []
        named: dict[int, str | None] = {}  # places of predictions to remember, and their identifiers
        for i, (number, line) in enumerate(part):
            try:
                body = decoded(line, decoder)
                if body.features is None:
                    raise Problem(400, "'features' is missing", "/features")
                if what == "learn":
                    if body.label is None:
                        raise Problem(400, "'label' is missing: this model learns from labels", "/label")
                    labels.append(kind.label(body.label))
                    weights.append(body.weight if body.weight != 1 else None)
                else:
                    labels.append(None)
                    weights.append(None)
                    if body.remember or body.id is not None:
                        named[i] = body.id
            except Problem as problem:
                answers[i] = failure(number, problem)
                continue
            records.append(body.features)
            places.append(i)
        good, good_places, good_labels = [], [], []
        for place, label, text in zip(places, labels, writer.many(records, labels, weights), strict=True):
            if isinstance(text, bytes):
                good.append(text)
                good_places.append(place)
                good_labels.append(label)
            else:
                answers[place] = failure(part[place][0], Problem(400, text))
        entry = 0
        if what == "predict":
            found = model.predict(good) if good else []
            if named:
                return self.remembered(
                    model, part, records, places, named, dict(zip(good_places, found, strict=True)), answers
                ), 0
        else:
            found, entry = self.learn(model, good, good_labels, header, done)
        members = kind.members
        if kind.is_bare() and len(found) == len(part) and b"n" not in b"".join(found):  # no error, nan or inf
            return [b'{"prediction": %b}' % answer for answer in found], entry
        for place, answer in zip(good_places, found, strict=True):
            if answer.startswith(ERROR):
                detail = answer.removeprefix(ERROR).decode("utf-8", "replace")
                answers[place] = failure(part[place][0], Problem(400, detail))
            else:
                answers[place] = b"{" + members(answer) + b"}"
        return answers, entry

    def remembered(
        self,
        model: Model,
        part: Sequence[tuple[int, bytes]],
        records: Sequence[dict[str, Any]],
        places: Sequence[int],
        named: dict[int, str | None],
        found: dict[int, bytes],
        answers: list[bytes],
    ) -> list[bytes]:
        """The answers to predictions of which some are remembered, all in one transaction."""
        by_place = dict(zip(places, records, strict=True))
        for place, answer in found.items():
            number = part[place][0]
            if answer.startswith(ERROR):
                detail = answer.removeprefix(ERROR).decode("utf-8", "replace")
                answers[place] = failure(number, Problem(400, detail))
                continue
            members = model.kind.members(answer)
            if place in named:
                stored = encode(self.service.v1.stored(by_place[place]))
                try:
                    identifier = self.service.remember(model, stored, answer, named[place], commits=False)
                except Problem as problem:
                    if problem.status == 503:
                        raise
                    answers[place] = failure(number, problem)
                    continue
                members += b', "id": ' + encode(identifier)
            answers[place] = b"{" + members + b"}"
        self.service.commit()
        return answers

    def learn(
        self, model: Model, lines: Sequence[bytes], labels: Sequence[Label], header: Header | None, done: int
    ) -> tuple[list[bytes], int]:
        """Learns the examples of a slice."""
        if not lines:
            return [], 0
        own = None
        if header is not None:
            own = Header(model.uid, key=header.key, digest=header.digest, done=done)
        effects = None if own is None else self.house.commits.effects(own)
        return self.house.learn(model, lines, labels, own, effects)

    def one_by_one(
        self, model: Model, what: str, part: Sequence[tuple[int, bytes]], header: Header | None, done: int
    ) -> tuple[list[bytes], int]:
        """Runs lines of decisions, or of labels that come later."""
        api = self.service.v1
        answers, entry = [], 0
        for place, (number, line) in enumerate(part):
            try:
                if what == "predict":
                    answers.append(api.decide(model, model.kind, decoded(line, PREDICT)).body)
                    continue
                waiting = identifier = stored = None
                if what == "label":
                    body = decoded(line, LABEL)
                    identifier = body.id
                    _, waiting = self.service.recall(identifier, model)
                    text, label, stored = api.remembered(model, body, waiting)
                else:
                    text, label = api.example(model, decoded(line, LEARN))
                own = Header(model.uid)
                if header is not None:
                    own = Header(model.uid, key=header.key, digest=header.digest, done=done - len(part) + place + 1)
                answer, number_of_entry = self.service.teach(model, text, label, own, identifier, waiting)
                entry = number_of_entry or entry
                if stored is not None:
                    api.count_cost(model, body, stored)
                bandit = isinstance(model.kind, Bandit)
                answers.append(b"{}" if bandit else b"{" + model.kind.members(answer) + b"}")
            except Problem as problem:
                if problem.status == 503:
                    raise
                answers.append(failure(number, problem))
        return answers, entry

    # VW's text

    async def text(self, model: Model, what: str, content: bytes, header: Header | None) -> Answer:
        """Runs lines of VW's text; the answers are the lines that the socket gives."""
        if b"\0" in content:
            raise Problem(400, "the text has the character NUL", offset=content.index(b"\0") + 1)
        blocks = model.engine.blocks
        if content and not content.endswith(b"\n"):
            content += b"\n"
        if blocks and content and not content.endswith(b"\n\n"):
            content += b"\n"
        examples = split(content, blocks)
        self.require_size(len(examples))
        output: list[bytes] = []
        entry = 0
        start = 0 if header is None else min(header.done, len(examples))
        output += [b"repeated"] * start
        turn = Turn()
        end = b"\n\n" if blocks else b"\n"
        for at in range(start, len(examples), SLICE):
            part = examples[at : at + SLICE]
            model.engine.numbered = True
            try:
                if what == "predict":
                    found = model.predict(part)
                else:
                    labels = labels_of(part, model.engine.workspace.top.takes_label)
                    found, number = self.learn_text(model, part, labels, header, at + len(part))
                    entry = number or entry
            finally:
                model.engine.numbered = False
            output += found
            await turn.over()
        body = b"".join(each + end for each in output)
        answer = await self.finish(header, entry, Answer(body, 200, TEXT, {"Model-Id": model.id}))
        if what != "predict" and examples:
            self.house.tell("learn", model, examples=len(examples))
        return answer

    def learn_text(
        self, model: Model, part: Sequence[bytes], labels: Sequence[Label], header: Header | None, done: int
    ) -> tuple[list[bytes], int]:
        """Learns lines of VW's text: empty ones have no answer."""
        full = [(line, label) for line, label in zip(part, labels, strict=True) if line.strip()]
        return self.learn(model, [line for line, _ in full], [label for _, label in full], header, done)


def media_of(answer: bytes) -> bytes:
    """The media type of a stored answer."""
    if answer.startswith(b"\xff\xff\xff\xff"):
        return ARROW
    if not answer.startswith(b"{"):
        return TEXT
    return NDJSON if answer.endswith(b"\n") else JSON


def failure(number: int, problem: Problem) -> bytes:
    """The answer to a line that can't be used."""
    found = problem.members()
    about = {name: found[name] for name in ("detail", "pointer", "offset") if name in found}
    return encode({"error": {"line": number, **about}})
