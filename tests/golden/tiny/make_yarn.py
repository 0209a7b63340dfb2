"""Makes yarn.json beside it, with llama-cpp-python 0.3.36: `python make_yarn.py` in this folder."""

import json

from llama_cpp import LLAMA_ROPE_SCALING_TYPE_YARN, Llama

F32 = 0
ids = json.load(open("golden.json"))["ids"]
settings = {"rope_scaling_type": LLAMA_ROPE_SCALING_TYPE_YARN, "rope_freq_scale": 0.25, "yarn_orig_ctx": 32}
llama = Llama("tiny-F32.gguf", n_ctx=256, n_threads=1, logits_all=True, type_k=F32, type_v=F32, verbose=False, **settings)
llama.eval(ids)
golden = {
    "made_with": "llama-cpp-python 0.3.36, tiny-F32.gguf, float32 keys and values",
    **settings,
    "logits_last": [round(float(logit), 5) for logit in llama._scores[-1]],
}
json.dump(golden, open("yarn.json", "w"))
