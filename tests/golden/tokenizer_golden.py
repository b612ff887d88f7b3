#!/usr/bin/env python3
"""Writes tests/golden/data/tokenizers.json: what tiktoken and sentencepiece make of some texts.

    python3 tests/golden/tokenizer_golden.py FOLDER     (made with tiktoken 0.14, sentencepiece 0.2.3)

FOLDER holds gpt2-bpe/encoder.json, gpt2-bpe/vocab.bpe and sentencepiece/test_model.model.
"""
import json
import pathlib
import sys

import sentencepiece
import tiktoken
from tiktoken.load import data_gym_to_mergeable_bpe_ranks

folder = pathlib.Path(sys.argv[1])
ranks = data_gym_to_mergeable_bpe_ranks(
    str(folder / "gpt2-bpe/vocab.bpe"), str(folder / "gpt2-bpe/encoder.json"))
gpt2 = tiktoken.Encoding(
    name="gpt2",
    pat_str=r"""'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+""",
    mergeable_ranks=ranks,
    special_tokens={"<|endoftext|>": 50256},
)
pieces = sentencepiece.SentencePieceProcessor(
    model_file=str(folder / "sentencepiece/test_model.model"))

TEXTS = [
    "",
    " ",
    "Hello world",
    "Hello, world! It's 2026, isn't it? We'll see; they've said I'd go, you're late, I'm off.",
    "  two  blanks,   three, and trailing   ",
    "tabs\tand\n\nnewlines\r\n \n end\n",
    "THE QUICK brown fox's'LL 'em DON'T",
    "naïve café Ünïcödé Straße — “quotes” … 100€ ½ ² Ⅻ ٣٤",
    "中文字符 日本語テキスト 한국어 עברית العربية हिन्दी",
    "emoji 😀👍🏽 family 👨‍👩‍👧 flags 🇩🇪",
    "non-breaking\u00a0space\u2003em\u3000ideographic\u200bzero\u0085next",
    "def f(x):\n    return x**2  # comment\n\n\tif x>=10: pass\n",
    "<|endoftext|> is plain text",
    "a" * 70 + " " * 70 + "1234567890" * 8,
    "antidisestablishmentarianism supercalifragilisticexpialidocious",
    "\x00\x01\x1c\x1f\x7f control",
    "e\u0301 combining, ligature ﬁ, soft\u00adhyphen, \ufeffBOM, \U0001d518 math, \U0001f1e6",
]

cases = [{"text": text, "gpt2": gpt2.encode(text, disallowed_special=()),
          "sentencepiece": pieces.encode(text), "decoded": pieces.decode(pieces.encode(text))}
         for text in TEXTS]
out = pathlib.Path(__file__).parent / "data"
out.mkdir(exist_ok=True)
lines = [json.dumps(case) for case in cases]
(out / "tokenizers.json").write_text("[\n" + ",\n".join(lines) + "\n]\n")
