"""W11 in PyTorch: a Hessian-vector product and MAML's outer step; see bench/w11_second_order.cpp.

Eager: torch.autograd.grad with create_graph, the tasks in a loop. --func: torch.func.jvp of grad, and vmap over
the tasks."""
import numpy as np
import torch
import torch.nn.functional as F

from workload import labelled, measure, parse, prepare, uniform, wanted

TASKS, SHOTS, STEPS = 25, 10, 50
args = parse(__doc__, "func", "compile")


def parameters(sizes):
    out = []
    for k, (a, b) in enumerate(zip(sizes, sizes[1:])):
        out += [torch.from_numpy(uniform(1000 + 2 * k, (b, a), a**-0.5)), torch.zeros(b)]
    return [p.requires_grad_() for p in out]


def network(p, h):
    for k in range(0, len(p), 2):
        h = F.linear(h, p[k], p[k + 1])
        h = torch.tanh(h) if k + 2 < len(p) else h
    return h


class HessianVectorProduct:
    def __init__(self):
        x, y = prepare(lambda: labelled(uniform(31, (10, 784), 1.0), 128))
        p = tuple(parameters([784, 512, 512, 10]))
        v = tuple(torch.from_numpy(uniform(11 + k, tuple(a.shape), 1.0)) for k, a in enumerate(p))

        def loss(*q):
            return F.cross_entropy(network(q, x), y)

        def reverse_twice():
            g = torch.autograd.grad(loss(*p), p, create_graph=True)
            return torch.autograd.grad(sum((a * b).sum() for a, b in zip(g, v)), p)

        def forward_over_reverse():
            return torch.func.jvp(torch.func.grad(loss, tuple(range(len(p)))), p, v)[1]
        self.product = forward_over_reverse if args.func else reverse_twice
        if args.compile:
            self.product = torch.compile(self.product)

    def reset(self):
        pass

    def step(self, i):
        self.out = self.product()

    def result(self):
        return float(sum((a.double()**2).sum() for a in self.out)**0.5)


def tasks(step):
    x = uniform(100 + step, (TASKS, 2 * SHOTS, 1), 5.0)
    a = np.float32(2.5) + uniform(200 + step, (TASKS, 1, 1), 2.4)
    f = uniform(300 + step, (TASKS, 1, 1), 1.57) + np.float32(1.57)
    return torch.from_numpy(x), torch.from_numpy((a * np.sin(x + f)).astype(np.float32))


class Maml:
    def __init__(self):
        self.tasks = prepare(lambda: [tasks(i) for i in range(STEPS)])
        self.p = parameters([1, 40, 40, 1])
        self.loss = torch.compile(self.functional) if args.compile else self.functional if args.func else self.loop

    def reset(self):
        with torch.no_grad():
            for p, start in zip(self.p, parameters([1, 40, 40, 1])):
                p.copy_(start)
        self.optimizer, self.losses = torch.optim.Adam(self.p, lr=1e-3, fused=True), []

    def loop(self, p, xs, ys):
        total = 0
        for x, y in zip(xs, ys):
            g = torch.autograd.grad(F.mse_loss(network(p, x[:SHOTS]), y[:SHOTS]), p, create_graph=True)
            total = total + F.mse_loss(network([a - 0.01 * b for a, b in zip(p, g)], x[SHOTS:]), y[SHOTS:])
        return total / TASKS

    def functional(self, p, xs, ys):
        def one(p, x, y):
            g = torch.func.grad(lambda q: F.mse_loss(network(q, x[:SHOTS]), y[:SHOTS]))(p)
            return F.mse_loss(network([a - 0.01 * b for a, b in zip(p, g)], x[SHOTS:]), y[SHOTS:])
        return torch.func.vmap(one, in_dims=(None, 0, 0))(p, xs, ys).mean()

    def step(self, i):
        self.optimizer.zero_grad()
        loss = self.loss(self.p, *self.tasks[i])
        loss.backward()
        self.optimizer.step()
        self.losses.append(loss.detach())

    def result(self):
        last = [float(x) for x in self.losses[-10:]]
        return sum(last) / len(last)


if wanted(args, "hvp"):
    measure("W11", "hvp", args, 20, HessianVectorProduct())
if wanted(args, "maml"):
    measure("W11", "maml", args, STEPS, Maml())
