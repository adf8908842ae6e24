# SPDX-License-Identifier: Apache-2.0
"""Golden results of update rules, by PyTorch on one thread.  rules_golden.py [--out golden/rules.json]

A matrix p [5, 7] starts at `start`; in step t = 1..20 its gradient is p / 2 + noise[t - 1], the rate
rates[t - 1].
  {start, noise, rates, rules: {name: {op, attributes, factors, first, last}}}
    op, attributes  Tern's operator, and its attributes as text
    factors         what the weight decay is multiplied by in each step; absent: 1
    first, last     p after steps 1 and 20
sgd_*, adamw and adafactor are torch.optim's. Lion is the authors' lion_pytorch.py (google/automl), lars the lines of
NVIDIA Apex's LARC.py (clip=False) in front of torch.optim.SGD: both copied below, as neither comes as a package.
"""
import argparse
import json
import os

import torch

STEPS = 20


class Lion:
    def __init__(self, params, betas, weight_decay):
        self.p, self.betas, self.weight_decay = params[0], betas, weight_decay
        self.exp_avg = torch.zeros_like(self.p)
        self.param_groups = [{"lr": 0.0, "weight_decay": weight_decay}]

    @torch.no_grad()
    def step(self):
        group, p, grad, exp_avg = self.param_groups[0], self.p, self.p.grad, self.exp_avg
        p.data.mul_(1 - group["lr"] * group["weight_decay"])
        beta1, beta2 = self.betas
        update = exp_avg * beta1 + grad * (1 - beta1)
        p.add_(update.sign_(), alpha=-group["lr"])
        exp_avg.mul_(beta2).add_(grad, alpha=1 - beta2)


class Lars:
    def __init__(self, params, momentum, weight_decay, trust, eps):
        self.p, self.weight_decay, self.trust, self.eps = params[0], weight_decay, trust, eps
        self.optim = torch.optim.SGD(params, lr=1.0, momentum=momentum)
        self.param_groups = self.optim.param_groups

    @torch.no_grad()
    def step(self):
        p = self.p
        param_norm = torch.norm(p.data)
        grad_norm = torch.norm(p.grad.data)
        if param_norm != 0 and grad_norm != 0:
            adaptive_lr = self.trust * (param_norm) / (grad_norm + param_norm * self.weight_decay + self.eps)
            p.grad.data += self.weight_decay * p.data
            p.grad.data *= adaptive_lr
        self.optim.step()


def rules():
    sgd = torch.optim.SGD
    return {
        "sgd_momentum": ("momentum_update", "momentum=0.9", lambda p: sgd(p, lr=1.0, momentum=0.9)),
        "sgd_all": ("momentum_update", "momentum=0.8 dampening=0.3 weight_decay=0.1",
                    lambda p: sgd(p, lr=1.0, momentum=0.8, dampening=0.3, weight_decay=0.1)),
        "sgd_nesterov": ("momentum_update", "momentum=0.9 nesterov=1 weight_decay=0.05",
                         lambda p: sgd(p, lr=1.0, momentum=0.9, nesterov=True, weight_decay=0.05)),
        "adamw": ("adamw_update", "", lambda p: torch.optim.AdamW(p, lr=1.0)),
        "adamw_other": ("adamw_update", "beta1=0.8 beta2=0.95 epsilon=1e-5 weight_decay=0.3",
                        lambda p: torch.optim.AdamW(p, lr=1.0, betas=(0.8, 0.95), eps=1e-5, weight_decay=0.3)),
        "lion": ("lion_update", "weight_decay=0.2", lambda p: Lion(p, (0.9, 0.99), 0.2)),
        "lars": ("lars_update", "momentum=0.9 weight_decay=0.1 trust=0.2",
                 lambda p: Lars(p, 0.9, 0.1, 0.2, 1e-8)),
        "adafactor": ("adafactor_update", "", lambda p: torch.optim.Adafactor(p, lr=1.0)),
        "adafactor_decay": ("adafactor_update", "decay=-0.5 weight_decay=0.2 threshold=1.1 epsilon2=0.01",
                            lambda p: torch.optim.Adafactor(p, lr=1.0, beta2_decay=-0.5, weight_decay=0.2, d=1.1,
                                                            eps=(None, 0.01))),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default=os.path.join(os.path.dirname(os.path.abspath(__file__)), "golden/rules.json"))
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(7)
    rounded = lambda t: [round(x, 3) for x in t.flatten().tolist()]
    start, noise = rounded(torch.randn(5, 7)), [rounded(0.3 * torch.randn(5, 7)) for _ in range(STEPS)]
    rates = [round(0.05 * (1 - t / STEPS), 6) for t in range(STEPS)]
    out = {"start": start, "noise": noise, "rates": rates, "rules": {}}
    for name, (op, attributes, make) in rules().items():
        p = torch.nn.Parameter(torch.tensor(start).reshape(5, 7))
        optimizer = make([p])
        decay = optimizer.param_groups[0].get("weight_decay", 0)
        factors = [1 - t / STEPS for t in range(STEPS)] if op != "lars_update" else None
        states = {}
        for t in range(STEPS):
            p.grad = (p.detach() / 2 + torch.tensor(noise[t]).reshape(5, 7)).clone()
            optimizer.param_groups[0]["lr"] = rates[t]
            if factors:
                optimizer.param_groups[0]["weight_decay"] = decay * factors[t]
            optimizer.step()
            if t in (0, STEPS - 1):
                states["first" if t == 0 else "last"] = [float(f"{x:.9g}") for x in p.detach().flatten().tolist()]
        out["rules"][name] = {"op": op, "attributes": attributes, **({"factors": factors} if factors else {}), **states}
    with open(args.out, "w", encoding="utf-8") as f:
        f.write(json.dumps(out).replace('"rules": ', '\n"rules": ').replace('}, "', '},\n "') + "\n")


if __name__ == "__main__":
    main()
