"""Makes the files beside it: random texts and their ids by llama.cpp.

    pip install llama-cpp-python==0.3.36
    python make.py

`VOCAB-as-PRE.json` is a vocabulary whose `tokenizer.ggml.pre` was replaced, to see another cutting of words.
"""

import json
import random
import struct
import tempfile
from pathlib import Path

import llama_cpp

HERE = Path(__file__).parent
VOCAB = HERE.parent / "vocab"
PRES = ["tekken", "default", "deepseek-llm", "gpt-2", "qwen2", "smaug-bpe"]

WORDS = """the of Hello world you're I'll don't we've IT'S parseHTML snake_case CamelCase naïve café über straße 3.14
1,000,000 0xDEADBEEF 2024-11-23 http://example.com/a?b=c#d foo(bar); {x} // # == != -> ... — … “quoted” `code`""".split()
CONTRACTIONS = "'s 'S 't 'T 're 'RE 'rE 've 'Ve 'm 'M 'll 'lL 'LL 'd 'D 'ſ 'K ’s 'e ''s '".split()
SPACES = ["\t", "\n", "\r\n", "\r", " \n", "\n ", "\u00a0", "\u3000", "\u2003", "\u200b", "\u2028", "\u0085", "\x0b", "\ufeff"]
LETTERS = "漢字日本語かなカナ한국어㐀𠀀龥龦、。「」العربيةًٌٍَ١٢٣हिन्दीक्ষไทยกำΣΑΒςЁЖქАǅﬁⅷ½²①٪ÀÉßéªʰ̀͆‿$€£+<=>^~|`©∑←▁█￥０ａ"
EMOJI = ["😀", "👨\u200d👩\u200d👧", "🏳️\u200d🌈", "👍🏽", "🇩🇪", "❤️", "🦙", "\ufe0f", "\u200d"]
RARE = "\U00010400\U0001e900\U0001d7d9\U00011f50\U0002ebf0\U000105c0\U000e0001\U000f0000\U0010ffff\ud7ff\ue000\uffff\u0378"


def text(rng: random.Random, specials: list[str]) -> str:
    def special() -> str:
        token = rng.choice(specials)
        cut = rng.randrange(len(token))
        return rng.choice([token, token, token * 2, token[:cut] + rng.choice(" a<") + token[cut:], token[1:]])

    atoms = [
        lambda: rng.choice(WORDS),
        lambda: " " + rng.choice(WORDS),
        lambda: rng.choice(CONTRACTIONS),
        lambda: rng.choice(SPACES),
        lambda: " " * rng.randrange(1, 18),
        lambda: "".join(rng.choices("\n\r \t", k=rng.randrange(1, 8))),
        lambda: "".join(rng.choices("0123456789", k=rng.randrange(1, 10))),
        lambda: "".join(rng.choices(LETTERS, k=rng.randrange(1, 6))),
        lambda: rng.choice(EMOJI),
        lambda: rng.choice(RARE),
        lambda: chr(rng.choice([rng.randrange(0, 0x20), rng.randrange(0x7F, 0xA0)])),
        lambda: chr(rng.choice([rng.randrange(0xA0, 0xD800), rng.randrange(0x10000, 0x32000)])),
        lambda: "".join(chr(rng.randrange(32, 127)) for _ in range(rng.randrange(1, 9))),
        special,
    ]
    pool = rng.sample(atoms, rng.choice([1, 3, 3, len(atoms)]))
    return "".join(rng.choice(pool)() for _ in range(rng.randrange(1, rng.choice([4, 12, 24]))))


def with_pre(path: Path, pre: str, out: Path) -> Path:
    data, key = path.read_bytes(), b"tokenizer.ggml.pre"
    at = data.index(struct.pack("<Q", len(key)) + key) + 8 + len(key) + 4
    (old_len,) = struct.unpack_from("<Q", data, at)
    out.write_bytes(data[:at] + struct.pack("<Q", len(pre)) + pre.encode() + data[at + 8 + old_len :])
    return out


def make(name: str, path: Path, n: int) -> None:
    llama = llama_cpp.Llama(model_path=str(path), vocab_only=True, verbose=False)
    vocab = llama._model.vocab
    special = llama_cpp.LLAMA_TOKEN_ATTR_CONTROL | llama_cpp.LLAMA_TOKEN_ATTR_UNKNOWN | llama_cpp.LLAMA_TOKEN_ATTR_USER_DEFINED
    specials = [
        llama_cpp.llama_vocab_get_text(vocab, id).decode()
        for id in range(llama.n_vocab())
        if llama_cpp.llama_vocab_get_attr(vocab, id) & special
    ]
    rng = random.Random(name)
    cases = []
    for _ in range(n):
        case = text(rng, specials[:16])
        ids, parsed = (llama.tokenize(case.encode(), add_bos=False, special=special) for special in (False, True))
        cases.append({"text": case, "ids": ids, "ids_parse_special": parsed})
    lines = ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases)
    made_with = f"llama-cpp-python {llama_cpp.__version__}, tests/golden/tokenize/make.py"
    (HERE / f"{name}.json").write_text(f'{{"made_with": "{made_with}",\n"cases": [\n{lines}\n]}}\n')


if __name__ == "__main__":
    make("llama-spm", VOCAB / "ggml-vocab-llama-spm.gguf", 300)
    make("llama-bpe", VOCAB / "ggml-vocab-llama-bpe.gguf", 300)
    make("smollm2", VOCAB / "smollm2.gguf", 300)
    with tempfile.TemporaryDirectory() as directory:
        for pre in PRES:
            path = with_pre(VOCAB / "ggml-vocab-llama-bpe.gguf", pre, Path(directory) / "vocab.gguf")
            make(f"llama-bpe-as-{pre}", path, 120)
