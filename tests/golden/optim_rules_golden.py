#!/usr/bin/env python3
"""Writes optim/trajectories_rules.json: the trajectories of the other first-order optimizers and of
the conventions of Keras and the papers, in float64.

    python optim_rules_golden.py        (PyTorch 2.13, optax 0.2.8; the figures agree to rounding)

PyTorch's own optimizer where it has it, else optax's, else one written here from the paper or from
Keras's documentation. Problem and form of the rows are those of optim_golden.py.
"""
import functools
import math
import pathlib
import types

import jax
import numpy as np
import optax
import torch

import optim_golden
from optim_golden import COSINE, STEP, STEPS, TORCH, defaults_of, run, write

jax.config.update("jax_enable_x64", True)


# ---- optimizers that PyTorch lacks, as torch.optim.Optimizer ----

class Own(torch.optim.Optimizer):
    """update() gives what is added to a parameter. The first group is the one that is decayed."""
    def __init__(self, groups, **defaults):
        super().__init__(groups, self.DEFAULTS | defaults)

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                state = self.state[p]
                state["t"] = state.get("t", 0) + 1
                p += self.update(p, p.grad, state, group)

    @staticmethod
    def mean(state, name, x, decay):
        state[name] = decay * state.get(name, torch.zeros_like(x)) + (1 - decay) * x
        return state[name]


class HeavyBall(Own):
    """theta + momentum (theta - last theta) - lr g: Polyak's form, with an L2 penalty."""
    DEFAULTS = {"lr": 1e-3, "weight_decay": 0.0, "momentum": 0.0, "nesterov": False}

    def update(self, p, g, s, o):
        g = g + o["weight_decay"] * p
        last = s.get("last", p.clone())
        s["last"] = p.clone()
        return o["momentum"] * (p - last) - o["lr"] * g


class LookAhead(Own):
    """theta and v as Sutskever et al. write them; the parameter is the point ahead of theta."""
    DEFAULTS = {"lr": 1e-2, "weight_decay": 0.0, "momentum": 0.9, "convex": False}

    def mu(self, o, t):
        return t / (t + 3) if o["convex"] else o["momentum"]

    def update(self, p, g, s, o):
        g = g + o["weight_decay"] * p
        theta, v = s.get("theta", p.clone()), s.get("v", torch.zeros_like(p))
        v = self.mu(o, s["t"] - 1) * v - o["lr"] * g
        s["theta"], s["v"] = theta + v, v
        return s["theta"] + self.mu(o, s["t"]) * v - p


def papers_sgd(groups, nesterov=False, **kwargs):
    return (LookAhead if nesterov else HeavyBall)(groups, **kwargs)


class KerasSgd(Own):
    DEFAULTS = {"lr": 1e-3, "weight_decay": 0.0, "momentum": 0.0, "nesterov": False}

    def update(self, p, g, s, o):
        v = s["v"] = o["momentum"] * s.get("v", torch.zeros_like(p)) - o["lr"] * g
        step = o["momentum"] * v - o["lr"] * g if o["nesterov"] else v
        return step - o["lr"] * o["weight_decay"] * p


class KerasAdam(Own):
    DEFAULTS = {"lr": 1e-3, "weight_decay": 0.0, "betas": (0.9, 0.999), "eps": 1e-7,
                "amsgrad": False}

    def update(self, p, g, s, o):
        (b1, b2), t = o["betas"], s["t"]
        m, v = self.mean(s, "m", g, b1), self.mean(s, "v", g * g, b2)
        if o["amsgrad"]:
            v = s["largest"] = torch.maximum(s.get("largest", v), v)
        alpha = o["lr"] * math.sqrt(1 - b2 ** t) / (1 - b1 ** t)
        return -m * alpha / (v.sqrt() + o["eps"]) - o["lr"] * o["weight_decay"] * p


class PapersAdam(Own):
    """Kingma & Ba, algorithm 1; with amsgrad Reddi et al., algorithm 2."""
    DEFAULTS = {"lr": 1e-3, "weight_decay": 0.0, "betas": (0.9, 0.999), "eps": 1e-8,
                "amsgrad": False}

    def direction(self, g, s, o):
        (b1, b2), t = o["betas"], s["t"]
        m, v = self.mean(s, "m", g, b1), self.mean(s, "v", g * g, b2)
        if o["amsgrad"]:
            v = s["largest"] = torch.maximum(s.get("largest", v), v)
            return m / (v.sqrt() + o["eps"])
        return m / (1 - b1 ** t) / ((v / (1 - b2 ** t)).sqrt() + o["eps"])

    def update(self, p, g, s, o):
        return -o["lr"] * self.direction(g + o["weight_decay"] * p, s, o)


class PapersAdamw(PapersAdam):
    """Loshchilov & Hutter, algorithm 2: eta (alpha direction + weight_decay theta)."""
    def update(self, p, g, s, o):
        eta = o["lr"] / o.get("initial_lr", o["lr"])
        return -o["lr"] * self.direction(g, s, o) - eta * o["weight_decay"] * p


class KerasRmsprop(Own):
    DEFAULTS = {"lr": 1e-3, "weight_decay": 0.0, "alpha": 0.9, "eps": 1e-7, "centered": False,
                "momentum": 0.0}

    def update(self, p, g, s, o):
        variance = self.mean(s, "v", g * g, o["alpha"])
        if o["centered"]:
            variance = variance - self.mean(s, "a", g, o["alpha"]) ** 2
        step = o["lr"] * g * torch.rsqrt(variance + o["eps"])
        s["b"] = o["momentum"] * s.get("b", torch.zeros_like(p)) + step
        return -s["b"] - o["lr"] * o["weight_decay"] * p


class KerasAdadelta(Own):
    DEFAULTS = {"lr": 1e-3, "weight_decay": 0.0, "rho": 0.95, "eps": 1e-7}

    def update(self, p, g, s, o):
        before = s.get("delta", torch.zeros_like(p))
        v = self.mean(s, "v", g * g, o["rho"])
        d = -(before + o["eps"]).sqrt() * g / (v + o["eps"]).sqrt()
        self.mean(s, "delta", d * d, o["rho"])
        return o["lr"] * d - o["lr"] * o["weight_decay"] * p


class KerasNadam(Own):
    DEFAULTS = {"lr": 1e-3, "weight_decay": 0.0, "betas": (0.9, 0.999), "eps": 1e-7}

    def update(self, p, g, s, o):
        (b1, b2), t = o["betas"], s["t"]
        u, following = (b1 * (1 - 0.5 * 0.96 ** k) for k in (t, t + 1))
        product = s["product"] = s.get("product", 1.0) * u
        m, v = self.mean(s, "m", g, b1), self.mean(s, "v", g * g, b2)
        m_hat = following * m / (1 - product * following) + (1 - u) * g / (1 - product)
        step = m_hat / ((v / (1 - b2 ** t)).sqrt() + o["eps"])
        return -o["lr"] * step - o["lr"] * o["weight_decay"] * p


class Lars(Own):
    """You, Gitman & Ginsburg, algorithm 1."""
    DEFAULTS = {"lr": 0.1, "weight_decay": 0.0, "momentum": 0.9, "trust_coefficient": 1e-3,
                "eps": 0.0, "nesterov": False}

    def update(self, p, g, s, o):
        size, length = p.norm(), g.norm()
        local = 1.0
        if size > 0 and length > 0:
            local = o["trust_coefficient"] * size / (length + o["weight_decay"] * size + o["eps"])
        step = o["lr"] * local * (g + o["weight_decay"] * p)
        v = s["v"] = o["momentum"] * s.get("v", torch.zeros_like(p)) + step
        return -(o["momentum"] * v + step if o["nesterov"] else v)


class Ftrl(Own):
    """McMahan et al., algorithm 1, from a start that is not 0."""
    DEFAULTS = {"lr": 0.1, "weight_decay": 0.0, "beta": 1.0, "initial_accumulator": 0.0,
                "own_l1": 0.0, "own_l2": 0.0, "decay_all": False}

    def update(self, p, g, s, o):
        decayed = o is self.param_groups[0]
        l1, l2 = (o["own_l1"], o["own_l2"]) if decayed else (0.0, 0.0)
        alpha = o.get("initial_lr", o["lr"])
        g = g + o["weight_decay"] * p
        n = s.get("n", torch.full_like(p, o["initial_accumulator"]))
        z = s.get("z", -p * (o["beta"] + n.sqrt()) / alpha)
        sigma = ((n + g * g).sqrt() - n.sqrt()) / alpha
        z = z + o["lr"] / alpha * g - sigma * p
        n = n + g * g
        s["n"], s["z"] = n, z
        w = -(z - z.sign() * l1) / ((o["beta"] + n.sqrt()) / alpha + l2)
        return torch.where(z.abs() <= l1, torch.zeros_like(w), w) - p


class Rprop(torch.optim.Rprop):
    """PyTorch's, with an L2 penalty and descent's names."""
    def __init__(self, groups, lr=1e-2, eta_minus=0.5, eta_plus=1.2, step_min=1e-6, step_max=50):
        super().__init__(groups, lr, (eta_minus, eta_plus), (step_min, step_max))
        self.defaults |= {"weight_decay": 0.0, "eta_minus": eta_minus, "eta_plus": eta_plus,
                          "step_min": step_min, "step_max": step_max}

    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                p.grad += group["weight_decay"] * p.detach()
        super().step()


def adafactor(groups, eps1=None, eps2=1e-3, **kwargs):
    optimizer = torch.optim.Adafactor(groups, eps=(eps1, eps2), **kwargs)
    optimizer.defaults["eps2"] = eps2
    return optimizer


# ---- proximal steps ----

def simplex(x):
    """Rows onto the simplex, by sorting (Held & Wolfe)."""
    ordered = x.sort(-1, descending=True).values
    counts = torch.arange(1, x.shape[-1] + 1)
    taus = (ordered.cumsum(-1) - 1) / counts
    last = (ordered > taus).sum(-1, keepdim=True) - 1
    return (x - taus.gather(-1, last)).clamp(min=0)


def prox_of(text, x, t):
    name, _, rest = text.partition(":")
    numbers = [float(n) for n in rest.split(",") if n]
    if name == "l1":
        return x.sign() * (x.abs() - t * numbers[0]).clamp(min=0)
    if name == "group":
        norms = x.norm(dim=tuple(range(1, x.ndim)), keepdim=True)
        return x * (1 - t * numbers[0] / norms).clamp(min=0)
    if name == "box":
        return x.clamp(*numbers)
    if name == "ball":
        return x * min(1.0, numbers[0] / x.norm())
    return simplex(x)


def with_prox(kind):
    """The optimizer, then the proximal step on the parameters that are decayed."""
    def make(groups, prox=None, **kwargs):
        optimizer = kind(groups, **kwargs)
        step = optimizer.step

        @torch.no_grad()
        def both(_):
            step()
            group = optimizer.param_groups[0]
            for p in group["params"]:
                p.copy_(prox_of(prox, p, group["lr"]))
        if prox:
            optimizer.step = types.MethodType(both, optimizer)  # as schedulers expect
        return optimizer
    return make


class MirrorDescent(Own):
    DEFAULTS = {"lr": 0.1, "weight_decay": 0.0, "beta": 1.0, "simplex": False}

    def update(self, p, g, s, o):
        g = g + o["weight_decay"] * p
        if o["simplex"]:
            raised = p * torch.exp(-o["lr"] * g)
            return raised / raised.abs().sum(-1, keepdim=True) - p
        return o["beta"] * torch.sinh(torch.asinh(p / o["beta"]) - o["lr"] * g) - p


# ---- optax, each parameter alone ----

class Optax(torch.optim.Optimizer):
    def __init__(self, groups, make, lr, weight_decay, **kwargs):
        super().__init__(groups, {"lr": lr, "weight_decay": weight_decay})
        kwargs.pop("betas", None)
        self.make = lambda lr, decay: make(lr, decay, **kwargs)

    @functools.cached_property
    def advance(self):
        # The rate is no part of any state, so that each step can make its transformation anew.
        return jax.jit(lambda g, s, p, lr, decay: self.make(lr, decay).update(g, s, p))

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                value = p.numpy()
                if "optax" not in self.state[p]:
                    self.state[p]["optax"] = self.make(0.1, 0.0).init(value)
                update, self.state[p]["optax"] = self.advance(
                    p.grad.numpy(), self.state[p]["optax"], value, group["lr"],
                    group["weight_decay"])
                p += torch.from_numpy(np.array(update))


def from_optax(make, lr, weight_decay=0.0):
    def kind(groups, **kwargs):
        given = {"lr": lr, "weight_decay": weight_decay} | kwargs
        return Optax(groups, make, **given)
    return kind


def decoupled(core):
    return lambda lr, decay, **k: optax.chain(core(**k), optax.add_decayed_weights(decay),
                                              optax.scale_by_learning_rate(lr))


def coupled(core):
    return lambda lr, decay, **k: optax.chain(optax.add_decayed_weights(decay), core(**k),
                                              optax.scale_by_learning_rate(lr))


def belief(beta1=0.9, beta2=0.999, eps=1e-16, eps_root=1e-16):
    return optax.scale_by_belief(beta1, beta2, eps, eps_root)


def yogi(beta1=0.9, beta2=0.999, eps=1e-3, initial_accumulator=1e-6, **_):
    return optax.scale_by_yogi(beta1, beta2, eps, 0.0, initial_accumulator)


def adan(beta1=0.98, beta2=0.92, beta3=0.99, eps=1e-8, eps_root=1e-8):
    return optax.scale_by_adan(beta1, beta2, beta3, eps, eps_root)


def lion(beta1=0.9, beta2=0.99):
    return optax.scale_by_lion(beta1, beta2)


def signum(momentum=0.9):
    return optax.chain(optax.ema(momentum, debias=False), optax.scale_by_sign())


def lamb(lr, decay, beta1=0.9, beta2=0.999, eps=1e-6):
    return optax.lamb(lr, beta1, beta2, eps, weight_decay=decay)


def sm3(momentum=0.9, beta2=1.0, eps=1e-8):
    return optax.scale_by_sm3(momentum, beta2, eps)


def keras_adagrad(initial_accumulator=0.1, eps=1e-7, **_):
    return optax.scale_by_rss(initial_accumulator, eps)


def papers_nadam(beta1=0.9, beta2=0.999, eps=1e-8):
    return optax.scale_by_adam(beta1, beta2, eps, nesterov=True)


def optax_lars(lr, decay, **kwargs):
    return optax.lars(lr, decay, **kwargs)


def lars(groups, **kwargs):
    """optax's where the two agree, so that there are two witnesses."""
    if groups[0].get("weight_decay") if isinstance(groups[0], dict) else True:
        return Lars(groups, **kwargs)
    return from_optax(optax_lars, 0.1)(groups, **kwargs)


# ---- the tables ----

def by_convention(torchs, **others):
    def kind(groups, convention="torch", **kwargs):
        return (torchs if convention == "torch" else others[convention])(groups, **kwargs)
    return kind


BETAS = ("lr", "eps", "beta1", "beta2")
TORCH.update({
    "sgd": (with_prox(by_convention(torch.optim.SGD, keras=KerasSgd, paper=papers_sgd)),
            ("lr", "momentum", "dampening", "nesterov", "convention", "prox")),
    "adam": (with_prox(by_convention(torch.optim.Adam, keras=KerasAdam, paper=PapersAdam)),
             ("lr", "eps", "amsgrad", "convention", "prox")),
    "adamw": (by_convention(torch.optim.AdamW, keras=KerasAdam, paper=PapersAdamw),
              ("lr", "eps", "amsgrad", "convention")),
    "adagrad": (by_convention(torch.optim.Adagrad,
                              keras=from_optax(decoupled(keras_adagrad), 1e-3)),
                ("lr", "lr_decay", "eps", "initial_accumulator", "convention")),
    "rmsprop": (by_convention(torch.optim.RMSprop, keras=KerasRmsprop),
                ("lr", "alpha", "eps", "centered", "momentum", "convention")),
    "adadelta": (by_convention(torch.optim.Adadelta, keras=KerasAdadelta,
                               paper=functools.partial(torch.optim.Adadelta, rho=0.95)),
                 ("lr", "rho", "eps", "convention")),
    "nadam": (by_convention(torch.optim.NAdam, keras=KerasNadam,
                            paper=from_optax(coupled(papers_nadam), 2e-3)),
              ("lr", "eps", "momentum_decay", "decoupled_weight_decay", "convention")),
    "adamax": (torch.optim.Adamax, ("lr", "eps")),
    "radam": (torch.optim.RAdam, ("lr", "eps", "decoupled_weight_decay")),
    "rprop": (Rprop, ("lr", "eta_minus", "eta_plus", "step_min", "step_max")),
    "asgd": (torch.optim.ASGD, ("lr", "lambd", "alpha", "t0")),
    "adafactor": (adafactor, ("lr", "beta2_decay", "d", "eps1", "eps2")),
    "adabelief": (from_optax(decoupled(belief), 1e-3), (*BETAS, "eps_root")),
    "yogi": (from_optax(coupled(yogi), 1e-2), (*BETAS, "initial_accumulator")),
    "adan": (from_optax(decoupled(adan), 1e-3), (*BETAS, "beta3", "eps_root")),
    "lion": (from_optax(decoupled(lion), 1e-4, 1e-3), ("lr", "beta1", "beta2")),
    "signsgd": (from_optax(decoupled(optax.scale_by_sign), 1e-3), ("lr",)),
    "signum": (from_optax(decoupled(signum), 1e-3), ("lr", "momentum")),
    "lamb": (from_optax(lamb, 1e-3), BETAS),
    "lars": (lars, ("lr", "momentum", "trust_coefficient", "eps", "nesterov")),
    "sm3": (from_optax(coupled(sm3), 0.1), ("lr", "momentum", "beta2", "eps")),
    "nesterov": (LookAhead, ("lr", "momentum", "convex")),
    "exponentiated_gradient": (MirrorDescent, ("lr", "beta", "simplex")),
    "ftrl": (Ftrl, ("lr", "beta", "initial_accumulator", "own_l1", "own_l2")),
})
DEFAULTS = ("adadelta", "nadam", "adamax", "radam", "rprop", "asgd", "adafactor")

OPTIMIZERS = [
    ("sgd_keras", "sgd", {"convention": "keras", "lr": 0.02, "momentum": 0.9,
                          "weight_decay": 0.1}, COSINE),
    ("sgd_keras_nesterov", "sgd", {"convention": "keras", "lr": 0.02, "momentum": 0.9,
                                   "nesterov": True}, STEP),
    ("sgd_keras_plain", "sgd", {"convention": "keras", "lr": 0.05, "weight_decay": 0.1}, None),
    ("sgd_paper", "sgd", {"convention": "paper", "lr": 0.02, "momentum": 0.9,
                          "weight_decay": 0.1}, STEP),
    ("sgd_paper_nesterov", "sgd", {"convention": "paper", "lr": 0.02, "momentum": 0.9,
                                   "nesterov": True}, COSINE),
    ("adam_keras", "adam", {"convention": "keras", "lr": 0.01, "weight_decay": 0.1}, None),
    ("adam_keras_amsgrad", "adam", {"convention": "keras", "lr": 0.01, "eps": 0.01, "beta2": 0.9,
                                    "amsgrad": True}, COSINE),
    ("adam_paper", "adam", {"convention": "paper", "lr": 0.01, "weight_decay": 0.1}, None),
    ("adam_paper_amsgrad", "adam", {"convention": "paper", "lr": 0.01, "beta2": 0.9,
                                    "amsgrad": True}, None),
    ("adamw_keras", "adamw", {"convention": "keras", "lr": 0.01}, COSINE),
    ("adamw_paper", "adamw", {"convention": "paper", "lr": 0.01, "weight_decay": 0.02}, COSINE),
    ("adamw_paper_amsgrad", "adamw", {"convention": "paper", "lr": 0.01, "weight_decay": 0.02,
                                      "amsgrad": True, "decay_all": True}, None),
    ("adagrad_keras", "adagrad", {"convention": "keras", "lr": 0.1}, None),
    ("adagrad_keras_options", "adagrad", {"convention": "keras", "lr": 0.1, "eps": 0.01,
                                          "initial_accumulator": 0.2, "weight_decay": 0.1}, None),
    ("rmsprop_keras", "rmsprop", {"convention": "keras", "lr": 0.002, "weight_decay": 0.1}, None),
    ("rmsprop_keras_momentum", "rmsprop", {"convention": "keras", "lr": 0.002, "momentum": 0.8,
                                           "centered": True, "eps": 0.01, "alpha": 0.95,
                                           "weight_decay": 0.1}, COSINE),
    ("adadelta_default", "adadelta", {}, None),
    ("adadelta", "adadelta", {"lr": 0.5, "rho": 0.95, "eps": 1e-4, "weight_decay": 0.1}, None),
    ("adadelta_keras", "adadelta", {"convention": "keras", "lr": 0.5, "weight_decay": 0.1}, COSINE),
    ("adadelta_paper", "adadelta", {"convention": "paper"}, None),
    ("adamax_default", "adamax", {}, None),
    ("adamax", "adamax", {"lr": 0.02, "beta1": 0.8, "beta2": 0.9, "eps": 0.01,
                          "weight_decay": 0.1}, COSINE),
    ("nadam_default", "nadam", {}, None),
    ("nadam", "nadam", {"lr": 0.02, "beta1": 0.8, "beta2": 0.95, "eps": 0.1,
                        "momentum_decay": 0.1, "weight_decay": 0.1}, COSINE),
    ("nadam_decoupled", "nadam", {"lr": 0.01, "weight_decay": 0.1,
                                  "decoupled_weight_decay": True}, None),
    ("nadam_keras", "nadam", {"convention": "keras", "lr": 0.01, "weight_decay": 0.1}, None),
    ("nadam_paper", "nadam", {"convention": "paper", "lr": 0.01, "weight_decay": 0.1}, None),
    ("radam_default", "radam", {}, None),
    ("radam", "radam", {"lr": 0.01, "beta1": 0.8, "beta2": 0.95, "eps": 0.01,
                        "weight_decay": 0.1}, COSINE),
    ("radam_decoupled", "radam", {"lr": 0.005, "weight_decay": 0.1,
                                  "decoupled_weight_decay": True}, None),
    ("adabelief_default", "adabelief", {}, None),
    ("adabelief", "adabelief", {"lr": 0.01, "beta1": 0.8, "beta2": 0.95, "eps": 0.1,
                                "eps_root": 1e-3, "weight_decay": 0.1}, COSINE),
    ("yogi_default", "yogi", {}, None),
    ("yogi", "yogi", {"lr": 0.01, "beta1": 0.8, "beta2": 0.95, "eps": 0.1,
                      "initial_accumulator": 0.1, "weight_decay": 0.1}, COSINE),
    ("adan_default", "adan", {}, None),
    ("adan", "adan", {"lr": 0.01, "beta1": 0.9, "beta2": 0.8, "beta3": 0.95, "eps": 0.1,
                      "eps_root": 1e-3, "weight_decay": 0.1}, COSINE),
    ("lion_default", "lion", {}, None),
    ("lion", "lion", {"lr": 0.005, "beta1": 0.8, "beta2": 0.95, "weight_decay": 0.1}, COSINE),
    ("signsgd_default", "signsgd", {}, None),
    ("signsgd", "signsgd", {"lr": 0.002, "weight_decay": 0.1}, COSINE),
    ("signum_default", "signum", {}, None),
    ("signum", "signum", {"lr": 0.002, "momentum": 0.8, "weight_decay": 0.1}, COSINE),
    ("rprop_default", "rprop", {}, None),
    ("rprop", "rprop", {"lr": 0.02, "eta_minus": 0.4, "eta_plus": 1.1, "step_min": 1e-3,
                        "step_max": 0.05, "weight_decay": 0.1}, None),
    ("asgd_default", "asgd", {}, None),
    ("asgd", "asgd", {"lr": 0.05, "lambd": 0.1, "alpha": 0.5, "t0": 10,
                      "weight_decay": 0.1}, COSINE),
    ("ftrl_default", "ftrl", {}, None),
    ("ftrl", "ftrl", {"lr": 0.2, "beta": 0.5, "initial_accumulator": 0.1, "l1": 0.05, "l2": 0.1,
                      "weight_decay": 0.01}, None),
    ("ftrl_cosine", "ftrl", {"lr": 0.2, "l1": 0.02, "decay_all": True}, COSINE),
    ("nesterov_default", "nesterov", {}, None),
    ("nesterov", "nesterov", {"lr": 0.02, "momentum": 0.8, "weight_decay": 0.1}, COSINE),
    ("nesterov_convex", "nesterov", {"lr": 0.05, "convex": True}, STEP),
    ("lamb_default", "lamb", {}, None),
    ("lamb", "lamb", {"lr": 0.01, "beta1": 0.8, "beta2": 0.95, "eps": 0.01,
                      "weight_decay": 0.1}, COSINE),
    ("lars_default", "lars", {}, None),
    ("lars_nesterov", "lars", {"lr": 0.5, "momentum": 0.8, "trust_coefficient": 0.01, "eps": 0.1,
                               "nesterov": True}, COSINE),
    ("lars", "lars", {"lr": 0.5, "trust_coefficient": 0.01, "weight_decay": 0.1}, STEP),
    ("adafactor_default", "adafactor", {}, None),
    ("adafactor", "adafactor", {"lr": 0.1, "beta2_decay": -0.5, "d": 1.1, "eps1": 0.05,
                                "eps2": 0.3, "weight_decay": 0.1}, COSINE),
    ("exponentiated_gradient_default", "exponentiated_gradient", {}, None),
    ("exponentiated_gradient", "exponentiated_gradient",
     {"lr": 0.2, "beta": 0.1, "weight_decay": 0.1}, COSINE),
    ("exponentiated_gradient_simplex", "exponentiated_gradient", {"simplex": True}, COSINE),
    ("prox_l1", "sgd", {"lr": 0.05, "prox": "l1:0.1"}, COSINE),
    ("prox_group", "sgd", {"lr": 0.05, "momentum": 0.5, "prox": "group:0.2"}, None),
    ("prox_box", "adam", {"lr": 0.01, "prox": "box:-0.5,0.4"}, None),
    ("prox_simplex", "sgd", {"lr": 0.05, "prox": "simplex"}, COSINE),
    ("prox_ball", "sgd", {"lr": 0.05, "convention": "keras", "momentum": 0.5, "prox": "ball:0.75",
                          "decay_all": True}, None),
    ("sm3_default", "sm3", {}, None),
    ("sm3", "sm3", {"lr": 0.05, "momentum": 0.0, "weight_decay": 0.1}, COSINE),
    ("sm3_decay", "sm3", {"lr": 0.01, "momentum": 0.8, "beta2": 0.9, "eps": 0.01}, None),
]


def main():
    trajectories = {"defaults": {name: defaults_of(name) for name in DEFAULTS}}
    for name, optimizer, options, schedule in OPTIMIZERS:
        # ftrl's l1 and l2 are the optimizer's own, no penalty at the gradient.
        given = {f"own_{k}" if optimizer == "ftrl" and k in ("l1", "l2") else k: v
                 for k, v in options.items()}
        row = (name, optimizer, given, schedule)
        trajectories[name] = {"optimizer": optimizer, "options": options,
                              "schedule": schedule[0] if schedule else None,
                              "loss": run(row, False, (1, 2, 5, 20, STEPS)),
                              "fed": run(row, True, (1, 2, STEPS))}
    write(pathlib.Path(optim_golden.__file__).resolve().parent / "optim/trajectories_rules.json",
          trajectories)


if __name__ == "__main__":
    main()
