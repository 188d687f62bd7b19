"""The training step of engine_bench.ts in PyTorch with its fused attention; one step for each line of input.

Usage: python torch_step.py LAYERS HIDDEN HEADS INTERMEDIATE PIECES BATCH SEQUENCE PREDICTIONS DROPOUT THREADS. Prints the
loss, the processor seconds of the step and the peak of resident bytes.
"""
import resource
import sys

import torch
import torch.nn.functional as F

L, H, A, I, V, B, S, P = (int(x) for x in sys.argv[1:9])
E, RATE = 128, float(sys.argv[9])
torch.set_num_threads(int(sys.argv[10]))
torch.manual_seed(0)
w = {}


def weight(name, *shape):
    w[name] = (torch.randn(*shape) * 0.02).requires_grad_()


def dense(name, size_in, size_out):
    weight(name + "/k", size_out, size_in)
    w[name + "/b"] = torch.zeros(size_out, requires_grad=True)


def norm(name, size):
    w[name + "/g"] = torch.ones(size, requires_grad=True)
    w[name + "/b"] = torch.zeros(size, requires_grad=True)


weight("word", V, E)
weight("position", 512, E)
weight("type", 2, E)
norm("embedded", E)
dense("map", E, H)
for each in "qkvo":
    dense(each, H, H)
norm("attended", H)
dense("inner", H, I)
dense("outer", I, H)
norm("layer", H)
dense("pooler", H, H)
dense("transform", H, E)
norm("transformed", E)
w["output/b"] = torch.zeros(V, requires_grad=True)
dense("order", H, 2)
m = {name: torch.zeros_like(x, requires_grad=False) for name, x in w.items()}
v = {name: torch.zeros_like(x, requires_grad=False) for name, x in w.items()}

ids = torch.randint(0, V, (B, S))
types = (torch.arange(S) > S // 2).long().expand(B, S)
mask = torch.zeros(B, 1, 1, S)  # added to the scores: all may be seen
rows = (torch.arange(P) * (S // P) + torch.arange(B)[:, None] * S).reshape(-1)
pieces = torch.randint(0, V, (B * P,))
orders = torch.randint(0, 2, (B,))


def linear(name, x):
    return F.linear(x, w[name + "/k"], w[name + "/b"])


def normed(name, x):
    return F.layer_norm(x, x.shape[-1:], w[name + "/g"], w[name + "/b"], 1e-12)


def drop(x):
    return F.dropout(x, RATE) if RATE > 0 else x


def loss_of():
    x = F.embedding(ids, w["word"]) + F.embedding(types, w["type"]) + w["position"][:S]
    x = linear("map", drop(normed("embedded", x)).reshape(B * S, E))
    for _ in range(L):
        q, k, val = (linear(n, x).view(B, S, A, H // A).transpose(1, 2) for n in "qkv")
        mixed = F.scaled_dot_product_attention(q, k, val, attn_mask=mask, dropout_p=RATE)
        a = normed("attended", x + drop(linear("o", mixed.transpose(1, 2).reshape(B * S, H))))
        x = normed("layer", a + drop(linear("outer", F.gelu(linear("inner", a), approximate="tanh"))))
    t = normed("transformed", F.gelu(linear("transform", x[rows]), approximate="tanh"))
    pooled = torch.tanh(linear("pooler", x.view(B, S, H)[:, 0]))
    masked = F.cross_entropy(F.linear(t, w["word"], w["output/b"]), pieces)
    return masked + F.cross_entropy(linear("order", pooled), orders)


@torch.no_grad()
def update():
    scale = 1 / torch.sqrt(sum((x.grad * x.grad).sum() for x in w.values())).clamp(min=1)
    for name, x in w.items():
        g = x.grad * scale
        m[name].mul_(0.9).add_(g, alpha=0.1)
        v[name].mul_(0.999).addcmul_(g, g, value=0.001)
        u = m[name] / (v[name].sqrt() + 1e-6)
        if x.dim() > 1:
            u += 0.01 * x
            size, change = x.norm(), u.norm()
            u *= torch.where((size > 0) & (change > 0), size / change, 1.0)
        x.sub_(u, alpha=0.003)
        x.grad = None


for _ in sys.stdin:
    before = resource.getrusage(resource.RUSAGE_SELF)
    loss = loss_of()
    loss.backward()
    update()
    after = resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(loss.item(), cpu, after.ru_maxrss * 1024, flush=True)
