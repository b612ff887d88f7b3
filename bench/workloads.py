"""The table of the benchmarks: of every case the programs of both sides, their modes, and the least work of a step.

The floor of a step is the larger of its floating-point operations over the machine's best product rate and of its bytes over
the best bandwidth. flops: products alone, forward and backward, no gradient for the data. bytes: what must be read and written
when everything between is perfectly fused, at four bytes a number.
"""
import dataclasses


@dataclasses.dataclass
class Case:
    workload: str
    name: str      # --case of both sides
    title: str
    program: str   # bench/<program>.cpp and bench/peers/<program>.py
    flops: float
    bytes: float
    modes: list    # of the peer: its arguments
    precisions: tuple = ("float32", )
    threads: tuple = (1, 2)
    traffic: float = 0  # bytes of a step that the table tells as GB/s (W8)


def mlp():
    batch, parameters = 128, 784 * 512 + 512 + 512 * 512 + 512 + 512 * 10 + 10
    return Case("W3", "mlp", "MLP 784-512-512-10, batch 128, Adam", "w3_mlp",
                flops=2 * batch * (3 * (512 * 512 + 512 * 10) + 2 * 784 * 512), bytes=4 * (7 * parameters + batch * 784),
                modes=["", "--fused", "--fused --compile", "--fused --bf16", "--fused --bf16 --compile"],
                precisions=("float32", "bf16"))


def convolutional(name, title, macs, first, activations):
    """macs: multiply-adds of an image, forward; first: of them those of the first layer; activations: numbers that the
    convolutions give, which the rest must pass over four times."""
    batch = 128
    return Case("W4", name, title, "w4_cnn", flops=2 * batch * (3 * macs - first), bytes=4 * batch * (3072 + 4 * activations),
                modes=["", "--fused --channels-last", "--fused --compile", "--fused --channels-last --compile", "--fused --bf16",
                       "--fused --bf16 --channels-last", "--fused --bf16 --channels-last --compile"],
                precisions=("float32", "bf16"))


def resnet20():
    macs = (3 * 16 * 9 + 6 * 16 * 16 * 9) * 1024 + (16 * 32 + 5 * 32 * 32) * 9 * 256 + (32 * 64 + 5 * 64 * 64) * 9 * 64 + 640
    return convolutional("resnet20", "ResNet-20, batch 128, SGD", macs, 3 * 16 * 9 * 1024, 7 * 16384 + 6 * 8192 + 6 * 4096)


def lenet():
    first = 75 * 6 * 784
    return convolutional("lenet", "LeNet, batch 128, SGD", first + 150 * 16 * 100 + 400 * 120 + 120 * 84 + 84 * 10, first,
                         6 * 784 + 16 * 100)


def lstm():
    tokens, vocabulary, embedding, hidden = 32 * 64, 65, 128, 256
    macs = 4 * hidden * (embedding + hidden) + 4 * hidden * 2 * hidden + hidden * vocabulary
    parameters = vocabulary * embedding + 4 * hidden * (embedding + hidden + 2) + 4 * hidden * (2 * hidden + 2) + (hidden + 1) * vocabulary
    kept = 2 * 7 * hidden + embedding + 2 * vocabulary
    return Case("W5", "lstm", "LSTM 2 x 256, sequence 64, batch 32, Adam", "w5_lstm", flops=6 * tokens * macs,
                bytes=4 * (7 * parameters + 2 * tokens * kept),
                modes=["", "--fused", "--fused --compile", "--fused --bf16", "--fused --bf16 --compile"],
                precisions=("float32", "bf16"))


def gpt(name, layers, heads, width, context, batch):
    tokens = batch * context
    parameters = layers * (12 * width * width + 2 * width) + width + (65 + context) * width
    # 12 w^2 of matrices a layer; causal attention needs half of q k^T and of a v
    macs = layers * (12 * width * width + context * width) + 65 * width
    return Case("W6", name, f"GPT {layers} layers, {heads} heads, width {width}, context {context}, batch {batch}, AdamW", "w6_gpt",
                flops=6 * tokens * macs, bytes=4 * (7 * parameters + 2 * tokens * layers * 14 * width),
                modes=["", "--fused", "--fused --compile", "--fused --bf16", "--fused --bf16 --compile"],
                precisions=("float32", "bf16"))


def update(name, bytes_each, modes=("", "--foreach", "--fused", "--compile"), threads=(1, 2)):
    parameters = 50_000_000
    return Case("W8", name, f"{name} over 50M parameters", "w8_optimizer", flops=0, bytes=bytes_each * parameters,
                modes=list(modes), threads=threads, traffic=bytes_each * parameters)


def other_updates():
    """Every other optimizer that goes element by element: parameter and gradient read, parameter written, its state read and
    written. PyTorch has some of them, fused for Adam, SGD and Adagrad only."""
    states = {"adabelief": 2, "adadelta": 2, "adagrad": 1, "adamax": 2, "adamw": 2, "adan": 4, "asgd": 1, "ftrl": 2, "lion": 1,
              "nadam": 2, "nesterov": 1, "radam": 2, "rmsprop": 1, "rprop": 2, "schedule_free_adamw": 2, "schedule_free_sgd": 1,
              "sgd": 0, "signsgd": 0, "signum": 1, "yogi": 2}
    in_torch = {"adadelta", "adagrad", "adamax", "asgd", "nadam", "radam", "rmsprop", "rprop"}
    return [update(name, 12 + 8 * state, ["--foreach", "--compile"] if name in in_torch else [], (1, ))
            for name, state in states.items()]


def overhead(batch):
    # Nothing but latency: no floor
    return Case("W9", f"batch {batch}", f"MLP 2-16-1, batch {batch}, SGD", "w9_overhead", flops=0, bytes=0,
                modes=["", "--fused", "--compile", "--compile --fused"], threads=(1, ))


def minimise():
    # Nothing but latency: no floor. The peer is scipy.optimize, with gradients by torch.autograd or (analytic) written in NumPy.
    titles = {"rosenbrock-1000": "L-BFGS on Rosenbrock's function of 1000 variables, against scipy.optimize",
              "classical": "L-BFGS on twelve classical functions, against scipy.optimize",
              "compile": "the same with each function compiled anew"}
    return [Case("W10", name, title, "w10_minimise", flops=0, bytes=0, modes=["", "--analytic"], precisions=("float64", ), threads=(1, ))
            for name, title in titles.items()]


def second_order():
    weights = 784 * 512 + 512 * 512 + 512 * 10
    return [Case("W11", "hvp", "Hessian-vector product, MLP 784-512-512-10", "w11_second_order",
                 flops=6 * 2 * 128 * weights, bytes=4 * 3 * weights, modes=["", "--func", "--func --compile"]),
            # Two a weight and point forward; three times that for either gradient and for the derivative of the inner one
            Case("W11", "maml", "MAML outer step, 25 tasks, MLP 1-40-40-1", "w11_second_order",
                 flops=25 * 10 * 2 * (40 + 1600 + 40) * 9, bytes=0, modes=["", "--func", "--func --compile"])]


CASES = [mlp(), resnet20(), lenet(), lstm(), gpt("small", 4, 4, 128, 64, 12), gpt("medium", 6, 6, 384, 256, 8),
         update("adam", 28), update("sgd-momentum", 20), *other_updates(), overhead(1), overhead(8), overhead(32), *minimise(), *second_order()]
