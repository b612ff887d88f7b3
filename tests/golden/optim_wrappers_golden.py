#!/usr/bin/env python3
"""Writes optim/trajectories_wrappers.json: Muon, the optimizers that find their rate, and what is
put around an optimizer, in float64 on the problems of optim_golden.py.

    python optim_wrappers_golden.py        (PyTorch 2.13, optax 0.2; any machine)

Each row is computed by somebody else's code where there is some (torch.optim, optax), else by a
few lines of numpy from the paper. A rule is a class: step(p, g, lr) changes the arrays of p in
place, where lr is the rate of the schedule; averaged() are the weights it would have evaluated.
Rules that need the problem itself (needs_loss) have no run with fed gradients.
"""
import inspect
import math
import pathlib
import sys

import jax
import numpy as np
import optax
import torch
from optax import contrib
from torch.optim import swa_utils

jax.config.update("jax_enable_x64", True)

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from optim_golden import FED, START, STEPS, loss, write  # noqa: E402

NAMES = ("w", "bias", "u")


def value_and_grad(p):
    t = {k: torch.tensor(p[k], requires_grad=True) for k in NAMES}
    value = loss(t)
    value.backward()
    return value.item(), {k: t[k].grad.numpy() for k in NAMES}


def decays(name, o):
    return name != "bias" or o.get("decay_all", False)


# ---- Muon: PyTorch's class with the iteration in float64 instead of bfloat16, AdamW beside it ----

def newton_schulz(grad, coefficients, steps, eps):
    a, b, c = coefficients
    x = grad.T if grad.size(0) > grad.size(1) else grad
    x = x / x.norm().clamp(min=eps)
    for _ in range(steps):
        gram = x @ x.T
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.T if grad.size(0) > grad.size(1) else x


class Muon:
    needs_loss = False

    def __init__(self, o, schedule):
        self.o = o

    def averaged(self):
        return None

    def start(self, p):
        o = self.o
        torch.optim._muon._zeropower_via_newtonschulz = newton_schulz
        self.t = {k: torch.tensor(p[k], requires_grad=True) for k in NAMES}
        matrices = [k for k in ("w", "u") if k not in o.get("adam_match", ())]
        rest = [k for k in NAMES if k not in matrices]
        decay = o.get("weight_decay", 0.1)
        own = {k: o[k] for k in ("momentum", "nesterov", "ns_coefficients", "eps", "ns_steps",
                                 "adjust_lr_fn") if k in o}
        self.muon = torch.optim.Muon([self.t[k] for k in matrices], lr=1.0, weight_decay=decay,
                                     **own)
        groups = [{"params": [self.t[k]], "weight_decay": decay if decays(k, o) else 0.0}
                  for k in rest]
        self.adam = torch.optim.AdamW(groups, lr=1.0, eps=o.get("adam_eps", 1e-8),
                                      betas=(o.get("adam_beta1", 0.9), o.get("adam_beta2", 0.999)))

    def step(self, p, g, lr):
        o = self.o
        for k in NAMES:
            self.t[k].grad = torch.tensor(g[k])
        ratio = o["adam_lr"] / o.get("lr", 1e-3) if "adam_lr" in o else 1.0
        for optimizer, rate in ((self.muon, lr), (self.adam, lr * ratio)):
            for group in optimizer.param_groups:
                group["lr"] = rate
            optimizer.step()
        for k in NAMES:
            p[k][...] = self.t[k].detach().numpy()


# ---- optax's, and what optax puts around others ----

MASK = {"w": True, "bias": False, "u": True}


class Optax:
    """make: from options and a rate (a function of the count from 0) to optax's transformation."""

    def __init__(self, o, make, schedule=None, needs_loss=False, evaluate=None):
        self.tx, self.needs_loss, self.evaluate = make(o, schedule), needs_loss, evaluate

    def start(self, p):
        self.now = {k: jax.numpy.asarray(v) for k, v in p.items()}
        self.state = self.tx.init(self.now)

    def step(self, p, g, lr):
        more = {}
        if self.needs_loss:
            more = {"value": value_and_grad(p)[0],
                    "grad_fn": lambda q, _: value_and_grad({k: np.array(q[k]) for k in NAMES})[1]}
            wanted = inspect.signature(self.tx.update).parameters
            if not any(v.kind == v.VAR_KEYWORD for v in wanted.values()):
                more = {k: v for k, v in more.items() if k in wanted}
        update, self.state = self.tx.update(g, self.state, self.now, **more)
        self.now = optax.apply_updates(self.now, update)
        for k in NAMES:
            p[k][...] = self.now[k]

    def averaged(self):
        return self.evaluate and self.evaluate(self.state, self.now)


def of_optax(make, needs_loss=False, evaluate=None, rated=None):
    """rated: default rate of descent, where the rate is to be a function of the step."""
    def rule(o, schedule):
        base = o.get("lr", rated)
        rate = (lambda t: base * schedule_of(schedule, t)) if schedule else base
        return Optax(o, make, rate, needs_loss, evaluate)
    return rule


def schedule_of(schedule, t):
    if schedule is COSINE:
        return 0.5 * (1 + jax.numpy.cos(math.pi * t / STEPS))
    raise NotImplementedError


def sgd(o, rate):
    return optax.sgd(rate, momentum=o.get("momentum", None))


def sam(o, rate):
    return contrib.sam(sgd(o, rate), optax.chain(contrib.normalize(), optax.sgd(o["sam"])),
                       sync_period=2, opaque_mode=True)


class Lookahead(Optax):
    """optax carries fast and slow parameters side by side."""

    def start(self, p):
        self.now = optax.LookaheadParams.init_synced({k: jax.numpy.asarray(v)
                                                      for k, v in p.items()})
        self.state = self.tx.init(self.now)

    def step(self, p, g, lr):
        update, self.state = self.tx.update(g, self.state, self.now)
        self.now = optax.apply_updates(self.now, update)
        for k in NAMES:
            p[k][...] = self.now.fast[k]

    def averaged(self):
        return self.now.slow


def lookahead(o, schedule):
    make = lambda o, rate: optax.lookahead(  # noqa: E731
        optax.adam(rate), o["lookahead_steps"], o.get("lookahead_alpha", 0.5))
    return Lookahead(o, make, o["lr"])


def schedule_free_sgd(o, rate):
    decay = optax.add_decayed_weights(o.get("weight_decay", 0.0), MASK)
    return contrib.schedule_free(optax.chain(decay, optax.sgd(rate)), rate, b1=o.get("beta1", 0.9),
                                 weight_lr_power=o.get("weight_lr_power", 2.0))


def schedule_free_adamw(o, rate):
    base = optax.chain(
        optax.scale_by_rms(decay=o.get("beta2", 0.999), eps=o.get("eps", 1e-8), eps_in_sqrt=False,
                           bias_correction=True),
        optax.add_decayed_weights(o.get("weight_decay", 0.0), MASK),
        optax.scale_by_learning_rate(rate))
    return contrib.schedule_free(base, rate, b1=o.get("beta1", 0.9),
                                 weight_lr_power=o.get("weight_lr_power", 2.0))


def prodigy(o, rate):
    return contrib.prodigy(rate, (o.get("beta1", 0.9), o.get("beta2", 0.999)), o.get("beta3"),
                           o.get("eps", 1e-8), o.get("d0", 1e-6), o.get("d_coef", 1.0),
                           safeguard_warmup=o.get("safeguard_warmup", False))


def dadapt(o, rate):
    return contrib.dadapt_adamw(rate, (o.get("beta1", 0.9), o.get("beta2", 0.999)),
                                o.get("eps", 1e-8), o.get("d0", 1e-6))


def dog(o, rate):
    return contrib.dog(rate, ("heuristic", o.get("initial_distance", 1e-6)), o.get("eps", 1e-8),
                       o.get("weight_decay"), MASK)


def polyak(o, rate):
    return optax.chain(
        optax.add_decayed_weights(o.get("weight_decay", 0.0), MASK),
        optax.scale_by_polyak(o.get("f_min", 0.0), o.get("max_step", 1.0), o.get("eps", 0.0)),
        optax.scale_by_learning_rate(rate))


# ---- from the papers ----

class Paper:
    needs_loss = False

    def __init__(self, o, schedule):
        self.o = o

    def start(self, p):
        self.t, self.p0 = 0, {k: v.copy() for k, v in p.items()}
        self.slots = {}

    def slot(self, name, k):
        return self.slots.setdefault((name, k), np.zeros_like(self.p0[k]))

    def averaged(self):
        return None

    def decay(self, k, default=0.0):
        return self.o.get("weight_decay", default) if decays(k, self.o) else 0.0


def momentum(rule, p, g, lr):
    """SGD as PyTorch has it."""
    for k in NAMES:
        b = rule.slot("b", k)
        b[...] = rule.o.get("momentum", 0.0) * b + g[k]
        p[k] -= lr * b


class AdaptiveSam(Paper):
    """Kwon et al., equation 7 with T = |w|; the gradient is clipped after it."""
    needs_loss = True

    def step(self, p, g, lr):
        scaled = {k: np.abs(p[k]) * g[k] for k in NAMES}
        norm = math.sqrt(sum((v ** 2).sum() for v in scaled.values())) + 1e-12
        worst = {k: p[k] + self.o["sam"] * p[k] ** 2 * g[k] / norm for k in NAMES}
        g = value_and_grad(worst)[1]
        norm = math.sqrt(sum((v ** 2).sum() for v in g.values()))
        factor = min(1.0, self.o["clip_norm"] / (norm + 1e-6))
        momentum(self, p, {k: factor * v for k, v in g.items()}, lr)


class Averaging(Paper):
    """PyTorch's AveragedModel of SGD's weights."""

    def start(self, p):
        super().start(p)
        self.module = torch.nn.ParameterDict({k: torch.nn.Parameter(torch.tensor(p[k]))
                                              for k in NAMES})
        average = {}
        if "ema_decay" in self.o:
            average["multi_avg_fn"] = swa_utils.get_ema_multi_avg_fn(self.o["ema_decay"])
        self.average = swa_utils.AveragedModel(self.module, **average)

    def step(self, p, g, lr):
        momentum(self, p, g, lr)
        with torch.no_grad():
            for k in NAMES:
                self.module[k].copy_(torch.tensor(p[k]))
        self.now = {k: v.copy() for k, v in p.items()}
        start, every = self.o.get("swa_start", 0), self.o.get("swa_every", 1)
        if self.t >= start and (self.t - start) % every == 0:
            self.average.update_parameters(self.module)
        self.begun = self.t >= start
        self.t += 1

    def averaged(self):
        if not self.begun:
            return self.now
        return {k: self.average.module[k].detach().numpy() for k in NAMES}


class ScheduleFree(Paper):
    """SGD of Defazio et al., equations 3 to 5, with the weights of its section on warm-up."""

    def start(self, p):
        super().start(p)
        self.x, self.z = ({k: v.copy() for k, v in p.items()} for _ in range(2))
        self.largest = self.total = 0.0

    def step(self, p, g, lr):
        beta = self.o.get("beta1", 0.9)
        self.largest = max(self.largest, lr)
        weight = self.largest ** self.o.get("weight_lr_power", 2)
        self.total += weight
        c = weight / self.total if self.total > 0 else 0.0
        for k in NAMES:
            self.z[k] = self.z[k] - lr * (g[k] + self.decay(k) * p[k])
            self.x[k] = (1 - c) * self.x[k] + c * self.z[k]
            p[k][...] = (1 - beta) * self.z[k] + beta * self.x[k]

    def averaged(self):
        return self.x


class Prodigy(Paper):
    """Algorithm 4 of Mishchenko & Defazio, with decoupled decay."""

    def start(self, p):
        super().start(p)
        self.d, self.r = self.o.get("d0", 1e-6), 0.0

    def step(self, p, g, lr):
        o, d, d0 = self.o, self.d, self.o.get("d0", 1e-6)
        b1, b2 = o.get("beta1", 0.9), o.get("beta2", 0.999)
        b3, s = o.get("beta3", math.sqrt(b2)), d * lr
        self.r = b3 * self.r + d / d0 * s * sum((g[k] * (self.p0[k] - p[k])).sum() for k in NAMES)
        for k in NAMES:
            m, v, q = (self.slot(name, k) for name in "mvq")
            m[...] = b1 * m + (1 - b1) * d * g[k]
            v[...] = b2 * v + (1 - b2) * d * d * g[k] ** 2
            q[...] = b3 * q + d / d0 * (d if o.get("safeguard_warmup") else s) * g[k]
        length = sum(np.abs(self.slot("q", k)).sum() for k in NAMES)
        if length > 0:
            self.d = max(d, o.get("d_coef", 1.0) * self.r / length)
        for k in NAMES:
            root = np.sqrt(self.slot("v", k)) + self.d * o.get("eps", 1e-8)
            p[k] -= s * self.decay(k) * p[k] + s * self.slot("m", k) / root


class Dadapt(Paper):
    """Algorithm 5 of Defazio & Mishchenko, with decoupled decay."""

    def start(self, p):
        super().start(p)
        self.d, self.r = self.o.get("d0", 1e-6), 0.0

    def step(self, p, g, lr):
        o, s = self.o, self.d * lr
        b1, b2, eps = o.get("beta1", 0.9), o.get("beta2", 0.999), o.get("eps", 1e-8)
        b, along, length = math.sqrt(b2), 0.0, 0.0
        for k in NAMES:
            m, v, q = (self.slot(name, k) for name in "mvq")
            along += (g[k] * q / (np.sqrt(v) + eps)).sum()
            m[...] = b1 * m + (1 - b1) * s * g[k]
            v[...] = b2 * v + (1 - b2) * g[k] ** 2
            q[...] = b * q + (1 - b) * s * g[k]
            length += np.abs(q).sum()
        self.r = b * self.r + (1 - b) * s * along
        if length > 0:
            self.d = max(self.d, self.r / ((1 - b) * length))
        for k in NAMES:
            step = self.slot("m", k) / (np.sqrt(self.slot("v", k)) + eps)
            p[k] -= s * self.decay(k) * p[k] + step


def philox(counter, key):
    """Salmon et al. 2011: ten rounds of Philox 4x32."""
    c, k, low = list(counter), [key & 0xFFFFFFFF, key >> 32], 0xFFFFFFFF
    for _ in range(10):
        a, b = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(b >> 32) ^ c[1] ^ k[0], b & low, (a >> 32) ^ c[3] ^ k[1], a & low]
        k = [(k[0] + 0x9E3779B9) & low, (k[1] + 0xBB67AE85) & low]
    return c


def hash_text(text):
    h = 0xCBF29CE484222325
    for c in text.encode():
        h = (h ^ c) * 0x100000001B3 % 2 ** 64
    return h


def fold_in(key, data):
    r = philox((data & 0xFFFFFFFF, data >> 32, 0x666F6C64, 0), key)
    return r[1] << 32 | r[0]


def signs(key, name, shape):
    """1 where random_uniform of the stream is less than a half."""
    stream = fold_in(hash_text(""), hash_text("sophia." + name) * 4 % 2 ** 64)
    bits = []
    for block in range(-(-math.prod(shape) // 4)):
        bits += philox((block, 0, stream & 0xFFFFFFFF, stream >> 32), key)
    half = np.array(bits[:math.prod(shape)]) >> 8 < 2 ** 23
    return np.where(half, 1.0, -1.0).reshape(shape)


def hessian_product(p, v):
    t = {k: torch.tensor(p[k], requires_grad=True) for k in NAMES}
    g = torch.autograd.grad(loss(t), list(t.values()), create_graph=True)
    along = sum((a * torch.tensor(v[k])).sum() for a, k in zip(g, NAMES))
    return dict(zip(NAMES, (h.numpy() for h in torch.autograd.grad(along, list(t.values())))))


class Sophia(Paper):
    """Algorithm 3 of Liu et al.; the key of step t is 1000 + t, as in tests/optim/stepper.h."""
    needs_loss = True

    def step(self, p, g, lr):
        o, b1, b2 = self.o, self.o.get("beta1", 0.965), self.o.get("beta2", 0.99)
        if self.t % o.get("hessian_every", 10) == 0:
            u = {k: signs(1000 + self.t, k, p[k].shape) for k in NAMES}
            product = hessian_product(p, u)
            for k in NAMES:
                h = self.slot("h", k)
                h[...] = b2 * h + (1 - b2) * u[k] * product[k]
        self.t += 1
        for k in NAMES:
            m, h = self.slot("m", k), self.slot("h", k)
            m[...] = b1 * m + (1 - b1) * g[k]
            d = np.clip(m / np.maximum(o.get("gamma", 0.01) * h, o.get("eps", 1e-12)), -1, 1)
            p[k] -= lr * (d + self.decay(k, 0.1) * p[k])


# ---- rows: name, optimizer, rule, options, schedule ----

COSINE = ({"name": "cosine", "decay_steps": STEPS},
          lambda t: 0.5 * (1 + math.cos(math.pi * t / STEPS)))
WARM = ({"name": "constant", "warmup_steps": 10}, lambda t: min(1.0, t / 10))
FREE = {"evaluate": contrib.schedule_free_eval_params}
ROWS = [
    ("muon_default", "muon", Muon, {}, None),
    ("muon", "muon", Muon, {"lr": 0.02, "weight_decay": 0.02, "momentum": 0.8, "adam_lr": 0.01,
                            "adam_beta1": 0.8, "adam_beta2": 0.95, "adam_eps": 1e-4}, COSINE),
    ("muon_match", "muon", Muon, {"lr": 0.02, "adam_match": ["u"], "nesterov": False,
                                  "adjust_lr_fn": "match_rms_adamw", "decay_all": True}, COSINE),
    ("muon_iteration", "muon", Muon, {"lr": 0.01, "ns_steps": 3, "eps": 1e-3,
                                      "ns_coefficients": [2.0, -1.5, 0.5],
                                      "convolutions": True}, None),
    ("sam", "sgd", of_optax(sam, True), {"lr": 0.05, "momentum": 0.5, "sam": 0.05}, None),
    ("sam_adaptive", "sgd", AdaptiveSam,
     {"lr": 0.05, "momentum": 0.5, "sam": 0.5, "sam_adaptive": True, "clip_norm": 0.2}, COSINE),
    ("centralize", "sgd", of_optax(lambda o, r: optax.chain(optax.centralize(), sgd(o, r))),
     {"lr": 0.05, "momentum": 0.5, "centralize": True}, None),
    ("lookahead", "adam", lookahead, {"lr": 0.01, "lookahead_steps": 5}, None),
    ("lookahead_alpha", "adam", lookahead,
     {"lr": 0.02, "lookahead_steps": 3, "lookahead_alpha": 0.8}, None),
    ("ema", "sgd", Averaging, {"lr": 0.05, "momentum": 0.5, "ema_decay": 0.9}, COSINE),
    ("swa", "sgd", Averaging, {"lr": 0.05, "momentum": 0.5, "swa_start": 3, "swa_every": 4}, None),
    ("schedule_free_sgd_default", "schedule_free_sgd",
     of_optax(schedule_free_sgd, rated=1.0, **FREE), {}, None),
    ("schedule_free_sgd", "schedule_free_sgd", of_optax(schedule_free_sgd, **FREE),
     {"lr": 0.1, "beta1": 0.8, "weight_decay": 0.05, "weight_lr_power": 1.0}, None),
    ("schedule_free_sgd_warmup", "schedule_free_sgd", ScheduleFree,
     {"lr": 0.1, "weight_decay": 0.05}, WARM),
    ("schedule_free_adamw_default", "schedule_free_adamw",
     of_optax(schedule_free_adamw, rated=0.0025, **FREE), {}, None),
    ("schedule_free_adamw", "schedule_free_adamw", of_optax(schedule_free_adamw, **FREE),
     {"lr": 0.02, "beta1": 0.95, "beta2": 0.9, "eps": 1e-3, "weight_decay": 0.05,
      "weight_lr_power": 1.0}, None),
    ("prodigy_default", "prodigy", Prodigy, {}, None),
    ("prodigy", "prodigy", of_optax(prodigy, rated=1.0),
     {"bias_correction": True, "d0": 1e-3}, COSINE),
    ("prodigy_options", "prodigy", Prodigy,
     {"lr": 0.5, "beta1": 0.8, "beta2": 0.99, "beta3": 0.9, "eps": 1e-3, "d0": 1e-3, "d_coef": 0.5,
      "weight_decay": 0.1, "safeguard_warmup": True}, WARM),
    ("prodigy_safeguard", "prodigy", of_optax(prodigy, rated=1.0),
     {"bias_correction": True, "d0": 1e-4, "beta3": 0.95, "safeguard_warmup": True}, COSINE),
    ("dadapt_adam_default", "dadapt_adam", Dadapt, {}, None),
    ("dadapt_adam", "dadapt_adam", of_optax(dadapt, rated=1.0),
     {"bias_correction": True, "d0": 1e-4}, COSINE),
    ("dadapt_adam_options", "dadapt_adam", Dadapt,
     {"lr": 0.5, "beta1": 0.8, "beta2": 0.99, "eps": 1e-2, "d0": 1e-2, "weight_decay": 0.1}, WARM),
    ("dog_default", "dog", of_optax(dog, rated=1.0), {}, None),
    ("dog", "dog", of_optax(dog), {"lr": 0.5, "initial_distance": 1e-2, "eps": 1e-2,
                                   "weight_decay": 0.05}, None),
    ("polyak_default", "polyak", of_optax(polyak, True, rated=1.0), {}, None),
    ("polyak", "polyak", of_optax(polyak, True),
     {"lr": 0.5, "f_min": -0.1, "max_step": 0.3, "eps": 0.1, "weight_decay": 0.05}, None),
    ("sophia_default", "sophia", Sophia, {}, None),
    ("sophia", "sophia", Sophia, {"lr": 0.02, "beta1": 0.9, "beta2": 0.8, "gamma": 0.5,
                                  "eps": 1e-3, "hessian_every": 3, "weight_decay": 0.02}, COSINE),
]
# Rows that float32 cannot follow: a distance of 1e-6 is lost in the rounding of the weights it is
# taken from, and what grows from it ends elsewhere; Polyak's steps here are chaotic.
FLOAT64_ONLY = ("prodigy_default", "dadapt_adam_default", "dog_default", "polyak_default")
DEFAULT_LR = {"muon": 1e-3, "sophia": 1e-3}


def run(row, fed, keep):
    """The parameters after the steps to keep, and the averages; None: cannot be fed."""
    _, name, rule, o, schedule = row
    p = {k: START[k].numpy().copy() for k in NAMES}
    rule = rule(o, schedule)
    if fed and rule.needs_loss:
        return None, None
    rule.start(p)
    kept, averages = {}, {}
    for t in range(STEPS):
        lr = o.get("lr", DEFAULT_LR.get(name, 1.0)) * (schedule[1](t) if schedule else 1)
        g = dict(zip(NAMES, (x.numpy() for x in FED[t]))) if fed else value_and_grad(p)[1]
        rule.step(p, {k: v.copy() for k, v in g.items()}, lr)
        if t + 1 not in keep:
            continue
        kept[str(t + 1)] = [p[k].flatten().tolist() for k in NAMES]
        if rule.averaged():
            averages[str(t + 1)] = [np.array(rule.averaged()[k]).flatten().tolist() for k in NAMES]
    return kept, averages


def defaults():
    """Those of PyTorch's classes, by descent's names."""
    muon = torch.optim.Muon([torch.zeros(1, 1)]).defaults
    return {"muon": {k: v for k, v in muon.items() if isinstance(v, (bool, int, float))}}


def main():
    out = {"defaults": defaults()}
    for row in ROWS:
        kept, averages = run(row, False, (1, 2, 5, 20, STEPS))
        out[row[0]] = {"optimizer": row[1], "options": row[3],
                       "schedule": row[4][0] if row[4] else None, "loss": kept}
        if averages:
            out[row[0]]["averaged"] = averages
        if row[0] in FLOAT64_ONLY:
            out[row[0]]["float64_only"] = True
        fed = run(row, True, (1, 2, STEPS))[0]
        if fed:
            out[row[0]]["fed"] = fed
    write(pathlib.Path(__file__).resolve().parent / "optim" / "trajectories_wrappers.json", out)


if __name__ == "__main__":
    main()
