# SPDX-License-Identifier: Apache-2.0
"""Language models: texts that go on, and conversations."""
import ctypes
import json

import numpy as np

from . import _raw as raw
from ._arrays import to_array, wrap
from ._interrupt import RunOptions
from ._library import Handle, NotFound, check, lib, to_path, to_text
from ._model import Model, load
from ._text import Stream, Tokenizer


class _Chat(Handle):
    _release = "tern_chat_release"

    def __init__(self, tokenizer, source, template, thinking, date):
        options = raw.tern_chat_options(flags=0 if thinking else raw.TERN_CHAT_NO_THINKING, template_name=template.encode() if template else None,
                                        date=date.encode() if date else None)
        pointer, ids, count = ctypes.c_void_p(), ctypes.POINTER(ctypes.c_int32)(), ctypes.c_size_t()
        check(lib.tern_chat_create(tokenizer, source, options, pointer))
        super().__init__(pointer)
        check(lib.tern_chat_get_ends(self, ids, count))
        self.ends = frozenset(ids[:count.value])

    def encode(self, messages, done, answer):
        list_ = (raw.tern_chat_message * len(messages))()
        for m, (role, content) in zip(list_, messages):
            data = content.encode("utf-8", "surrogatepass")
            m.struct_size = ctypes.sizeof(m)
            m.role, m.content, m.content_bytes = role.encode(), data, len(data)  # ctypes keeps the bytes
        capacity, count = 256, ctypes.c_size_t()
        while True:
            ids = (ctypes.c_int32 * capacity)()
            check(lib.tern_chat_encode(self, list_, len(messages), done, raw.TERN_CHAT_ANSWER if answer else 0, ids, capacity, count))
            if count.value <= capacity:
                return ids[:count.value]
            capacity = count.value


def _write_messages(messages, done, template):
    """A conversation beside its tokens in a file, as src/cli/chat.cpp has it, too."""
    parts = [f"chat {done} {template}\n".encode()]
    for role, content in messages:
        data = content.encode("utf-8", "surrogatepass")
        parts.append(f"{role} {len(data)}\n".encode() + data + b"\n")
    return b"".join(parts)


def _read_messages(data):
    """(messages, done, template)"""
    head, _, rest = data.partition(b"\n")
    word, done, template = head.decode("utf-8", "replace").split(" ", 2)
    messages = []
    while rest:
        head, _, rest = rest.partition(b"\n")
        role, size = head.decode().split(" ")
        if not size.isdecimal() or rest[int(size):int(size) + 1] != b"\n":
            raise ValueError
        messages.append((role, rest[:int(size)].decode("utf-8", "surrogatepass")))
        rest = rest[int(size) + 1:]
    if word != "chat" or not 0 <= int(done) <= len(messages):
        raise ValueError
    return messages, int(done), template


def _pair(message):
    return (message["role"], message["content"]) if isinstance(message, dict) else tuple(message)


_ROWS = 512  # of a text that is embedded, at a time


class Generator(Handle):
    """A language model: its path or a Model. One thread at a time.

        g = tern.Generator("smollm2.tern")
        for piece in g.chat("What is the capital of France?"):
            print(piece, end="", flush=True)

    temperature: 0 = always the most probable token, the other options but the penalty have no meaning then; top_k: draws among so
    many (0 = all); top_p: among the fewest whose probabilities reach it; min_p: among those with at least min_p times the largest
    one; repetition_penalty: makes tokens less probable that are there already (1 = none); the same seed draws the same.
    look_ahead: so many tokens are guessed where the text repeats itself and computed together: the same text, sooner.
    draft: a smaller model of the same vocabulary, its path or a Model, that guesses look_ahead tokens (4 by default) instead.
    log_probabilities: so many of the most probable tokens are noted at each step, see the property of this name.
    template: of conversations ("chatml", "llama3", "llama2", "mistral", "gemma", "bitnet", "zephyr"), where the model does not say
    it; thinking=False: answers come without thinking first, where the template knows that; date: as "26 Jul 2024", of templates
    that tell it, None = today's."""

    _release = "tern_generator_release"

    def __init__(self, model, temperature: float = 0, top_k: int = 0, top_p: float = 1, min_p: float = 0, repetition_penalty: float = 1,
                 seed: int = 0, look_ahead: int = None, backends: str = None, template: str = None, thinking: bool = True, date: str = None, context=None,
                 draft=None, log_probabilities: int = 0):
        model = model if isinstance(model, Model) else load(model, context)
        look_ahead = look_ahead if look_ahead is not None else 0 if draft is None else 4
        self._choice = dict(temperature=temperature, top_k=top_k, top_p=top_p, min_p=min_p, repetition_penalty=repetition_penalty, seed=seed,
                            look_ahead=look_ahead, log_probabilities=log_probabilities)
        options = raw.tern_generator_options(backends=backends.encode() if backends else None, **self._choice)
        pointer = ctypes.c_void_p()
        check(lib.tern_generator_create(model, options, pointer))
        super().__init__(pointer)
        self._draft = None if draft is None else _Draft(draft, backends=backends, context=context)
        if self._draft is not None:
            check(lib.tern_generator_set_draft(self, self._draft))
        lib.tern_model_retain(model)
        self._model, self._backends, self._embedder = Model(model._pointer, model.context), backends, None
        self._constrained, self._biased = False, False
        self._notes_logs, self._logs = log_probabilities > 0, []
        source = model.metadata.get("language.chat_template")
        self._form, self._chat = (source.encode() if source else None, template, thinking, date), None
        try:
            self._tokenizer = Tokenizer(model)
        except NotFound as e:  # ids go in and out all the same
            self._tokenizer, self._without = None, e
        self._tokens, self._turn = [], 0
        self._messages, self._done = [], 0  # of these the tokens hold the first ones
        self.ended = None

    def fork(self, **options) -> "Generator":
        """Another generator with the same tokens and conversation that goes on by itself; what was computed so far is shared. options:
        temperature to log_probabilities, where they are to be others; there is no draft. One of the two is used at a time."""
        other = Generator.__new__(Generator)
        other._choice = self._choice | (options if "look_ahead" in options or self._draft is None else options | {"look_ahead": 0})
        pointer = ctypes.c_void_p()
        check(lib.tern_generator_fork(self, raw.tern_generator_options(**other._choice), pointer))
        Handle.__init__(other, pointer)
        lib.tern_model_retain(self._model)
        other._model, other._backends, other._embedder, other._draft = Model(self._model._pointer, self._model.context), self._backends, None, None
        other._constrained, other._biased = False, False
        other._notes_logs, other._logs = other._choice["log_probabilities"] > 0, []
        other._form, other._chat, other._tokenizer = self._form, self._chat, self._tokenizer
        other._without = getattr(self, "_without", None)
        other._tokens, other._turn = self.tokens, 0
        other._messages, other._done = list(self._messages), self._done
        other.ended = None
        return other

    def close(self):
        super().close()
        for other in ("_draft", "_embedder", "_model"):  # the draft behind the one that it guesses for
            if getattr(self, other, None) is not None:
                getattr(self, other).close()

    @property
    def tokenizer(self) -> Tokenizer:
        if self._tokenizer is None:
            raise self._without
        return self._tokenizer

    def _template(self):
        if self._chat is None:
            self._chat = _Chat(self.tokenizer, *self._form)
        return self._chat

    @property
    def template(self) -> str:
        """The name of the template of conversations."""
        return to_text(lib.tern_chat_template(self._template()))

    @property
    def tokens(self) -> list:
        """Ids of all tokens that were given or made."""
        return list(self._tokens)

    @property
    def capacity(self) -> int:
        """How many tokens there can be."""
        return lib.tern_generator_capacity(self)

    @property
    def messages(self) -> list:
        """The conversation so far, with answers, as dictionaries of "role" and "content"."""
        return [{"role": role, "content": content} for role, content in self._messages]

    def reset(self):
        """Forgets everything."""
        self._turn += 1
        self._truncate(0)
        self._messages, self._done = [], 0

    def save(self, path):
        """Writes tokens, what was computed of them, how the next ones are chosen, and the conversation to a file, which `load` and
        `tern chat --session` go on from. An interrupted save leaves the old file or the new one."""
        self._truncate(min(len(self._tokens), lib.tern_generator_length(self)))
        data = _write_messages(self._messages, self._done, self.template if self._messages else "-")
        check(lib.tern_generator_save(self, to_path(path), data, len(data)))

    def load(self, path):
        """Goes on where a generator of the same model was saved: the same tokens follow. Temperature to seed become those of the file.
        On an error everything is as it was."""
        data, size, count = ctypes.c_void_p(), ctypes.c_size_t(), ctypes.c_int64()
        check(lib.tern_generator_load(self, to_path(path), data, size))
        try:
            messages, done, template = _read_messages(ctypes.string_at(data, size.value) if size.value else b"chat 0 -\n")
        except ValueError:  # another program's
            messages, done, template = [], 0, "-"
        tokens = (ctypes.c_int32 * lib.tern_generator_length(self))()
        check(lib.tern_generator_get_tokens(self, tokens, len(tokens), count))
        self._turn += 1
        self._tokens, self._messages, self.ended, self._logs = list(tokens), messages, None, []
        self._done = done if messages and template == self.template else 0

    def encode_chat(self, messages, answer: bool = True) -> list:
        """Ids of a conversation, as transformers' apply_chat_template. answer: with the beginning of an answer."""
        return self._template().encode([_pair(m) for m in messages], 0, answer)

    @property
    def log_probabilities(self) -> list:
        """For each token that the last text took: pairs of a token's id and the logarithm of its probability, of the one that was
        chosen, then of the most probable ones. Before bias, grammar, penalty and temperature."""
        return list(self._logs)

    @property
    def guesses(self) -> tuple:
        """How many tokens were guessed so far, and how many of them were right."""
        made, right = ctypes.c_int64(), ctypes.c_int64()
        check(lib.tern_generator_guesses(self, made, right))
        return made.value, right.value

    def embed(self, text, pooling: str = "mean", normalize: bool = True):
        """What the model makes of a text (or ids), an array of f32 of its hidden size; of a list of texts an array for each, in rows.
        pooling: "mean" of all tokens' or the "last" one's; normalize: to length 1. The text that is being
        generated is not touched. Models that were not trained for it compare texts rather roughly."""
        if pooling not in ("mean", "last"):
            raise ValueError(f"pooling '{pooling}': 'mean' or 'last'")
        if not isinstance(text, str) and not all(isinstance(t, (int, np.integer)) for t in text):
            return np.stack([self.embed(t, pooling, normalize) for t in text])
        ids = self.tokenizer.encode(text, parse_special=False) if isinstance(text, str) else list(text)
        if not ids:
            raise ValueError("there is no token to embed")
        if self._embedder is None:
            self._embedder = self._model.session(self._backends)
        index, state = self._model._signature("embed"), lib.tern_session_state(self._embedder)
        check(lib.tern_state_truncate(state, 0))
        total = 0
        for begin in range(0, len(ids), _ROWS):
            tensor, array = wrap(self._model.context, np.array(ids[begin:begin + _ROWS], np.int64))
            output = ctypes.c_void_p()
            try:
                with RunOptions() as options:
                    check(lib.tern_session_run(self._embedder, index, (ctypes.c_void_p * 3)(tensor), 3, output, 1, options))
            finally:
                lib.tern_tensor_release(tensor)
            rows = to_array(output)
            total = rows[-1].astype(np.float64) if pooling == "last" else total + rows.sum(0, np.float64)
        vector = total / len(ids) if pooling == "mean" else total
        return (vector / max(np.linalg.norm(vector), 1e-30) if normalize else vector).astype(np.float32)

    def generate(self, prompt, max_tokens: int = 128, stop=(), timeout: float = None, grammar: str = None, schema=None, logit_bias: dict = None):
        """Yields what follows a prompt, a text (special tokens in it count as such) or ids, piece by piece. It ends after max_tokens,
        before a text of `stop` (one, or a list), or where the model ends it: `ended` says "length", "stop", "end", or "full", if there
        is no room for more tokens. timeout: seconds for each step; it raises TimedOut. Ctrl-C raises KeyboardInterrupt; the next call goes on
        with what is there.
        grammar: rules (GBNF) of which the text is one; schema: a JSON schema, a dictionary or its text, of which the text is JSON. It is
        closed within max_tokens. logit_bias: {token: number that is added to its logit}, a token by its id or its text; -inf forbids it."""
        ids = self.tokenizer.encode(prompt, parse_special=True) if isinstance(prompt, str) else list(prompt)
        self._messages, self._done = [], 0
        end = self.tokenizer.end
        return self._go_on(ids, False, {end} if end is not None else (), max_tokens, stop, timeout, None, self._rules(grammar, schema, logit_bias))

    def chat(self, messages, max_tokens: int = 1024, stop=(), timeout: float = None, grammar: str = None, schema=None, logit_bias: dict = None):
        """Yields an answer piece by piece. messages: a text, which goes on with the conversation so far; or the whole conversation,
        dictionaries of "role" ("system", "user", "assistant") and "content", or such pairs. What the model has computed already is not
        computed again. Special tokens that a message spells are text. Else as generate."""
        messages = self._messages + [("user", messages)] if isinstance(messages, str) else [_pair(m) for m in messages]
        chat, done = self._template(), self._done
        if not 0 < done < len(messages) or messages[:done] != self._messages[:done]:
            done = 0
        rules = self._rules(grammar, schema, logit_bias)
        return self._go_on(chat.encode(messages, done, True), done > 0, chat.ends, max_tokens, stop, timeout, messages, rules)

    def batch(self, prompts, max_tokens: int = 128, stop=(), together: int = 8, options=None, timeout: float = None, grammar: str = None,
              schema=None, logit_bias: dict = None):
        """Yields the number of a prompt and a piece of its text, of many prompts (texts, ids or conversations), so many of which are
        computed together: one that ends makes room for the next. Each text is the one that generate or chat gives alone; `batch_ended`
        says why it ended, in the order of the prompts. options: a list of a dictionary for each prompt, of what is other than with this
        generator, as {"seed": 3}. A beginning that prompts share with this generator's tokens is not computed again. Else as generate.

            texts = [""] * len(prompts)
            for i, piece in g.batch(prompts):
                texts[i] += piece
        """
        prompts = list(prompts)
        if max_tokens < 1:
            raise ValueError(f"max_tokens is {max_tokens}")
        if together < 1 or (options is not None and len(options) != len(prompts)):
            raise ValueError("together is 1 at least, and there are as many options as prompts")
        self.batch_ended = [None] * len(prompts)
        return self._batch([self._entry(p) for p in prompts], max_tokens, stop, together, options or [{}] * len(prompts), timeout,
                           self._rules(grammar, schema, logit_bias), self.batch_ended)

    def _entry(self, prompt):
        """(ids, tokens that end it, whether it is a conversation)"""
        prompt = prompt if isinstance(prompt, str) else list(prompt)
        if not isinstance(prompt, str) and prompt and not isinstance(prompt[0], (int, np.integer)):
            return self.encode_chat(prompt), self._template().ends, True
        end = self.tokenizer.end
        return self.tokenizer.encode(prompt, parse_special=True) if isinstance(prompt, str) else prompt, {end} if end is not None else (), False

    def _batch(self, entries, max_tokens, stop, together, options, timeout, rules, ended):
        waiting, members = list(enumerate(zip(entries, options)))[::-1], []
        try:
            while waiting or members:
                while waiting and len(members) < together:
                    members.append(_Member(self, *waiting.pop(), max_tokens, stop, timeout, rules))
                tokens, statuses = (ctypes.c_int32 * len(members))(), (ctypes.c_int32 * len(members))()
                pointers = (ctypes.c_void_p * len(members))(*[m.generator._pointer for m in members])
                with RunOptions(timeout) as run:
                    check(lib.tern_generator_next_batch(pointers, len(members), tokens, statuses, run))
                for member, status, token in zip(list(members), statuses, tokens):
                    for piece in filter(None, member.take(status, token)):
                        yield member.number, piece
                    ended[member.number] = member.ended
                    if member.ended is not None:
                        members.remove(member)
                        member.close()
        finally:
            for member in members:
                member.close()

    def _rules(self, grammar, schema, logit_bias):
        if grammar is not None and schema is not None:
            raise ValueError("a grammar or a schema, not both")
        kind = raw.TERN_GRAMMAR_NONE if grammar is schema is None else raw.TERN_GRAMMAR_GBNF if schema is None else raw.TERN_GRAMMAR_JSON_SCHEMA
        text = grammar if schema is None else schema if isinstance(schema, str) else json.dumps(schema)
        bias = {}
        for token, value in (logit_bias or {}).items():
            id = self.tokenizer.find(token) if isinstance(token, str) else int(token)
            if id is None:
                raise NotFound(f"logit_bias: there is no token {token!r}", raw.TERN_ERR_NOT_FOUND)
            bias[id] = float(value)
        return kind, text.encode() if text is not None else None, bias

    def _obey(self, rules, max_tokens):
        kind, text, bias = rules
        if self._constrained or kind != raw.TERN_GRAMMAR_NONE:
            tokenizer = None if text is None else self.tokenizer
            check(lib.tern_generator_set_grammar(self, tokenizer, kind, text, len(text or b""), max_tokens))
            self._constrained = kind != raw.TERN_GRAMMAR_NONE
        if self._biased or bias:
            check(lib.tern_generator_set_bias(self, (ctypes.c_int32 * len(bias))(*bias), (ctypes.c_float * len(bias))(*bias.values()), len(bias)))
            self._biased = bool(bias)

    def _truncate(self, length):
        check(lib.tern_generator_truncate(self, length))
        del self._tokens[length:]

    def _feed(self, ids, goes_on, timeout):
        # Ctrl-C may have come between a token and its being noted here.
        self._truncate(min(len(self._tokens), lib.tern_generator_length(self)))
        if not goes_on:
            same = 0
            while same < min(len(ids), len(self._tokens)) and ids[same] == self._tokens[same]:
                same += 1
            self._truncate(same)
            ids = ids[same:]
        with RunOptions(timeout) as options:
            check(lib.tern_generator_feed(self, (ctypes.c_int32 * len(ids))(*ids), len(ids), options))
        self._tokens += ids

    def _go_on(self, ids, goes_on, ends, max_tokens, stop, timeout, messages, rules):
        self._turn += 1
        return self._pieces(self._turn, ids, goes_on, ends, max_tokens, stop, timeout, messages, rules)

    def _note(self):
        ids, values, count = ctypes.POINTER(ctypes.c_int32)(), ctypes.POINTER(ctypes.c_float)(), ctypes.c_int64()
        check(lib.tern_generator_log_probabilities(self, ids, values, count))
        self._logs.append(list(zip(ids[:count.value], values[:count.value])))

    def _took(self, status, token, ends, made):
        """Notes a token that was made; if it ends the text, why. made: how many there were before."""
        if status == raw.TERN_ERR_LIMIT and len(self._tokens) >= self.capacity:
            return "full"
        if status == raw.TERN_ERR_STATE and self._constrained and made:  # no token of the vocabulary ends texts
            return "end"
        check(status)
        self._tokens.append(token)
        if self._notes_logs:
            self._note()
        # A grammar allows no special token but one that ends its text, which may be another one.
        if token not in ends and not (self._constrained and self.tokenizer[token].special):
            return None
        self._truncate(len(self._tokens) - 1)  # the next turn brings it
        return "end"

    def _ids(self, ends, max_tokens, timeout):
        token = ctypes.c_int32()
        for made in range(max_tokens):
            with RunOptions(timeout) as options:
                status = lib.tern_generator_next(self, token, options)
            self.ended = self._took(status, token.value, ends, made)
            if self.ended is not None:
                return
            yield token.value
        self.ended = "length"

    def _pieces(self, turn, ids, goes_on, ends, max_tokens, stop, timeout, messages, rules):
        def alone():
            if turn != self._turn:
                raise RuntimeError("another text was begun before this one came to its end")
        alone()
        self.ended, answer, self._logs = None, [], []
        try:
            self._obey(rules, max_tokens)
            self._feed(ids, goes_on, timeout)
            if messages is not None:
                self._messages, self._done = messages, 0
            for piece in self.tokenizer.stream(self._ids(ends, max_tokens, timeout), skip_special=messages is not None, stop=stop):
                if piece:
                    answer.append(piece)
                    yield piece
                    alone()
            self.ended = self.ended or "stop"
        finally:
            if turn == self._turn and messages is not None and self._messages is messages:
                whole = "".join(answer)
                self._messages = messages + [("assistant", whole)]
                # Templates leave thoughts out of earlier answers: the next turn begins from the first message again.
                self._done = 0 if "</think>" in whole else len(self._messages)


class _Member:
    """A sequence of a batch."""

    def __init__(self, parent, number, entry, max_tokens, stop, timeout, rules):
        (ids, self._ends, chat), options = entry
        self.number, self.ended, self._made, self._most = number, None, 0, max_tokens
        self.generator, self._stream = parent.fork(**options), None
        try:
            self.generator._obey(rules, max_tokens)
            self.generator._feed(ids, False, timeout)
            self._stream = Stream(parent.tokenizer, chat, stop)
        except BaseException:
            self.close()
            raise

    def take(self, status, token):
        """Yields pieces of the text; `ended` says whether it has come to its end."""
        if status != raw.TERN_OK:  # this thread's error is that of whichever failed last: alone it has its own
            again = ctypes.c_int32()
            status = lib.tern_generator_next(self.generator, again, None)
            token = again.value
        ended = self.generator._took(status, token, self._ends, self._made)
        if ended is None:
            self._made += 1
            yield self._stream.add(token)
            if self._stream.stopped:
                self.ended = "stop"
                return
            ended = "length" if self._made >= self._most else None
        if ended is not None:
            yield self._stream.end()
        self.ended = ended

    def close(self):
        self.generator.close()
        if self._stream is not None:
            self._stream.close()


class _Draft(Generator):
    """Closed by the generator that it guesses for, behind that, even where both go together."""

    def __del__(self):
        pass
