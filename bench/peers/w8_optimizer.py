"""W8 in PyTorch: the optimizer's step alone, 50,000,000 parameters in 100 tensors; see bench/w8_optimizer.cpp."""
import torch

from workload import measure, parse, prepare, uniform, wanted

TENSORS = 100
START = {"mu_product": 1, "mu": 1, "step_size": 0.01, "eta": 0.01}  # of NAdam, ASGD and Rprop; all else starts at 0
args = parse(__doc__, "foreach", "fused", "compile")
size = 50_000 if args.quick else 500_000


class Update:
    def __init__(self, make):
        self.make = make
        self.parameters = [torch.empty(size) for _ in range(TENSORS)]
        for k, p in enumerate(self.parameters):
            p.grad = prepare(lambda: torch.from_numpy(uniform(3000 + k, size, 0.01)))
        self.optimizer = make(self.parameters)
        self.step_ = torch.compile(self.optimizer.step) if args.compile else self.optimizer.step

    def reset(self):
        for k, p in enumerate(self.parameters):
            p.copy_(torch.from_numpy(uniform(2000 + k, size, 1.0)))
        for state in self.optimizer.state.values():  # kept, as compiled code belongs to it
            for name, value in state.items():
                value.fill_(START.get(name, 0))

    def step(self, i):
        self.step_()

    def result(self):
        return float(sum(p.abs().double().mean() for p in self.parameters)) / TENSORS


kind = {"fused": True} if args.fused else {"foreach": args.foreach or args.compile}
cases = {"adam": lambda p: torch.optim.Adam(p, lr=1e-3, **kind), "sgd-momentum": lambda p: torch.optim.SGD(p, lr=0.01, momentum=0.9, **kind)}
for name in ("Adadelta", "Adagrad", "Adamax", "ASGD", "NAdam", "RAdam", "RMSprop", "Rprop"):  # with their defaults
    cases[name.lower()] = lambda p, name=name: getattr(torch.optim, name)(p, **kind)
for case, make in cases.items():
    if wanted(args, case):
        measure("W8", case, args, 10, Update(make))
