"""The sentence models in PyTorch or onnxruntime, for `make bench-classify`.

A child of `benches/classify`, which asks by lines of JSON and is answered by lines of JSON:

    (at the start)                    {"runtime": WHAT RUNS, "seconds": FROM START TO FIRST EMBEDDING}
    {"embed": [TEXT, …]}              {"vectors": [[NUMBER, …], …]}
    {"batch": 32, "seconds": 2}       {"calls": [SECONDS OF EACH CALL, …], "part": TEXTS}

Each call embeds a batch of the phrases, which are taken in turn; from texts to vectors of unit
length, so that cutting into tokens counts. A batch is sorted by length, and may be computed in
parts, each padded to its own longest text: of how many texts, the warm-up finds out.
"""

import argparse
import hashlib
import itertools
import json
import os
import sys
import time
from pathlib import Path

STARTED = time.perf_counter()

# A text has at most so many tokens, as in `src/classify/bert/config.rs`.
TOKENS_A_TEXT_MAX = 128

# Sizes of the parts that a batch is tried in, in texts.
PARTS = (8, 16, 32, 64, 128, 256)

# Seconds of calls before each measurement.
WARM_UP_SECONDS = 0.5

# A measurement has at least so many calls.
CALLS_MIN = 2

# What onnxruntime needs at least; later ones bring nothing that these models use.
OPSET = 17


def options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--runtime", choices=["torch", "onnx"], required=True)
    parser.add_argument("--model", type=Path, required=True, help="the model's folder")
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--phrases", type=Path, required=True, help="a file with a phrase on each line")
    return parser.parse_args()


def set_threads(threads):
    """Before the libraries are loaded, which read these then."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS"):
        os.environ[name] = str(threads)
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    os.environ["HF_HUB_OFFLINE"] = "1"
    os.environ["TRANSFORMERS_VERBOSITY"] = "error"


def load_transformer(folder, attention):
    """The model of the transformers library and how it attends, the first of `attention` that it has."""
    import torch
    from transformers import AutoModel
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    for implementation in attention:
        try:
            model = AutoModel.from_pretrained(
                folder, attn_implementation=implementation, dtype=torch.float32, add_pooling_layer=False
            )
        except (ValueError, ImportError):
            # The library says so when a model has no such attention.
            continue
        return model.eval(), implementation
    raise SystemExit(f"embed.py: {folder} has none of the attentions {attention}")


def unit_mean(hidden, mask):
    """The mean of each text's tokens, made a unit long."""
    import torch

    weights = mask.unsqueeze(-1).to(hidden.dtype)
    mean = (hidden * weights).sum(1) / weights.sum(1).clamp(min=1e-9)
    return torch.nn.functional.normalize(mean, p=2.0, dim=1)


class Torch:
    """PyTorch: ids and mask to vectors."""

    def __init__(self, folder, threads):
        import torch

        torch.set_num_threads(threads)
        self.torch = torch
        self.model, attention = load_transformer(folder, ["sdpa", "eager"])
        self.name = f"PyTorch {torch.__version__}, attention {attention}"

    def forward(self, ids, mask):
        torch = self.torch
        with torch.inference_mode():
            ids, mask = torch.from_numpy(ids), torch.from_numpy(mask)
            hidden = self.model(input_ids=ids, attention_mask=mask).last_hidden_state
            return unit_mean(hidden, mask).numpy()


class Onnx:
    """onnxruntime: ids and mask to vectors."""

    def __init__(self, folder, threads):
        import onnxruntime

        file, fused = onnx_file(folder)
        settings = onnxruntime.SessionOptions()
        settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        settings.intra_op_num_threads = threads
        settings.inter_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(str(file), settings, providers=["CPUExecutionProvider"])
        self.name = f"onnxruntime {onnxruntime.__version__}, {fused}"

    def forward(self, ids, mask):
        return self.session.run(None, {"input_ids": ids, "attention_mask": mask})[0]


def onnx_file(folder):
    """The model as an ONNX file, made once for these weights and libraries, and what was fused in it."""
    import onnxruntime

    weights = hashlib.sha256((folder / "model.safetensors").read_bytes())
    weights.update(Path(__file__).read_bytes())
    weights.update(onnxruntime.__version__.encode())
    cache = Path(sys.prefix) / "onnx" / f"{folder.name}-{weights.hexdigest()[:16]}"
    done = cache / "fused.txt"
    if not done.is_file():
        cache.mkdir(parents=True, exist_ok=True)
        export(folder, cache / "plain.onnx")
        found = fuse(folder, cache / "plain.onnx", cache / "fused.onnx")
        (cache / "plain.onnx").unlink()
        # Written last: with it, the model is whole.
        done.write_text(found)
    return cache / "fused.onnx", done.read_text()


def export(folder, file):
    """Writes the model with its pooling, for any number of texts and tokens."""
    import warnings

    import torch

    # That the exporter is the older one, whose graphs the fusions know; and of each constant.
    warnings.filterwarnings("ignore")

    class Sentences(torch.nn.Module):
        def __init__(self, model):
            super().__init__()
            self.model = model

        def forward(self, input_ids, attention_mask):
            hidden = self.model(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
            return unit_mean(hidden, attention_mask)

    # The fusions look for attention as it is written out.
    model, _ = load_transformer(folder, ["eager"])
    ids = torch.tensor([[0, 4, 5, 6, 2], [0, 7, 8, 2, 1]])
    mask = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 1, 0]])
    axes = {0: "batch", 1: "length"}
    with torch.inference_mode():
        torch.onnx.export(
            Sentences(model),
            (ids, mask),
            str(file),
            input_names=["input_ids", "attention_mask"],
            output_names=["vectors"],
            dynamic_axes={"input_ids": axes, "attention_mask": axes, "vectors": {0: "batch"}},
            opset_version=OPSET,
            dynamo=False,
        )


def fuse(folder, plain, fused):
    """Writes the model with the steps fused that onnxruntime's own optimiser knows; says which."""
    from onnxruntime.transformers import optimizer
    from onnxruntime.transformers.fusion_options import FusionOptions

    config = json.loads((folder / "config.json").read_text())
    choices = FusionOptions("bert")
    model = optimizer.optimize_model(
        str(plain),
        model_type="bert",
        num_heads=config["num_attention_heads"],
        hidden_size=config["hidden_size"],
        optimization_options=choices,
        opt_level=0,
    )
    model.save_model_to_file(str(fused))
    found = {name: count for name, count in model.get_fused_operator_statistics().items() if count}
    return "fused " + (", ".join(f"{count} {name}" for name, count in found.items()) or "nothing")


class Encoder:
    """Texts to vectors of unit length, by one of the runtimes."""

    def __init__(self, runtime, folder, threads):
        import numpy
        from tokenizers import Tokenizer

        self.numpy = numpy
        # The library's own, without what transformers puts around it: that alone would cost a
        # small model a tenth of its time.
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(TOKENS_A_TEXT_MAX)
        self.padding = json.loads((folder / "config.json").read_text()).get("pad_token_id", 0)
        self.runtime = {"torch": Torch, "onnx": Onnx}[runtime](folder, threads)

    def encode(self, texts, part):
        """One vector for each text, in their order; `part` texts are computed at a time."""
        numpy = self.numpy
        tokens = [encoding.ids for encoding in self.tokenizer.encode_batch_fast(texts)]
        order = sorted(range(len(tokens)), key=lambda at: len(tokens[at]))
        vectors = []
        for start in range(0, len(order), part):
            chosen = [tokens[at] for at in order[start : start + part]]
            ids = numpy.full((len(chosen), len(chosen[-1])), self.padding, dtype=numpy.int64)
            mask = numpy.zeros_like(ids)
            for row, own in enumerate(chosen):
                ids[row, : len(own)] = own
                mask[row, : len(own)] = 1
            vectors.append(self.runtime.forward(ids, mask))
        sorted_vectors = numpy.concatenate(vectors)
        result = numpy.empty_like(sorted_vectors)
        result[order] = sorted_vectors
        return result


class Clock:
    """Times an encoder over the phrases."""

    def __init__(self, encoder, phrases):
        self.encoder = encoder
        self.phrases = phrases
        self.parts = {}

    def calls(self, batch, part, seconds, at_least):
        """The seconds of each call, until they are as many in sum."""
        phrases = itertools.cycle(self.phrases)
        took = []
        while len(took) < at_least or sum(took) < seconds:
            texts = list(itertools.islice(phrases, batch))
            started = time.perf_counter()
            self.encoder.encode(texts, part)
            took.append(time.perf_counter() - started)
        return took

    def part(self, batch):
        """In how large parts a batch goes fastest."""
        if batch not in self.parts:

            def cost(part):
                self.calls(batch, part, 0, 1)
                took = self.calls(batch, part, WARM_UP_SECONDS, CALLS_MIN)
                return sum(took) / len(took)

            self.parts[batch] = min([size for size in PARTS if size < batch] + [batch], key=cost)
        return self.parts[batch]

    def measure(self, batch, seconds):
        part = self.part(batch)
        self.calls(batch, part, WARM_UP_SECONDS, 1)
        return {"calls": self.calls(batch, part, seconds, CALLS_MIN), "part": part}


def main():
    chosen = options()
    # Answers go where the standard output went; whatever a library prints goes to the errors.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def answer(what):
        answers.write(json.dumps(what) + "\n")
        answers.flush()

    set_threads(chosen.threads)
    phrases = chosen.phrases.read_text(encoding="utf-8").splitlines()
    encoder = Encoder(chosen.runtime, chosen.model, chosen.threads)
    encoder.encode(phrases[:1], 1)
    answer({"runtime": encoder.runtime.name, "seconds": time.perf_counter() - STARTED})
    clock = Clock(encoder, phrases)
    for line in sys.stdin:
        asked = json.loads(line)
        if "embed" in asked:
            texts = asked["embed"]
            answer({"vectors": encoder.encode(texts, len(texts)).tolist()})
        else:
            answer(clock.measure(asked["batch"], asked["seconds"]))


if __name__ == "__main__":
    main()
