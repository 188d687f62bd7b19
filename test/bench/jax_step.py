"""The training step of engine_bench.ts in plain JAX: one jitted, donated function; one step for each line of input.

Usage: python jax_step.py LAYERS HIDDEN HEADS INTERMEDIATE PIECES BATCH SEQUENCE PREDICTIONS DROPOUT THREADS (the last is
read by XLA from NPROC). Prints the loss, the processor seconds of the step and the peak of resident bytes.
"""
import resource
import sys

import jax
import jax.numpy as jnp
import numpy as np

L, H, A, F, V, B, S, P = (int(x) for x in sys.argv[1:9])
E, RATE = 128, float(sys.argv[9])
rng = np.random.default_rng(0)


def kernel(*shape):
    return jnp.asarray(rng.normal(0, 0.02, shape), jnp.float32)


def dense(name, size_in, size_out):
    return {name + "/k": kernel(size_in, size_out), name + "/b": jnp.zeros(size_out)}


def norm(name, size):
    return {name + "/g": jnp.ones(size), name + "/b": jnp.zeros(size)}


weights = {
    "word": kernel(V, E), "position": kernel(512, E), "type": kernel(2, E), **norm("embedded", E),
    **dense("map", E, H), **dense("q", H, H), **dense("k", H, H), **dense("v", H, H), **dense("o", H, H),
    **norm("attended", H), **dense("inner", H, F), **dense("outer", F, H), **norm("layer", H),
    **dense("pooler", H, H), **dense("transform", H, E), **norm("transformed", E), "output/b": jnp.zeros(V),
    **dense("order", H, 2),
}
batch = {
    "ids": rng.integers(0, V, (B, S)), "types": np.tile(np.arange(S) > S // 2, (B, 1)), "mask": np.ones((B, S)),
    "positions": np.tile(np.arange(P) * (S // P), (B, 1)), "pieces": rng.integers(0, V, B * P),
    "orders": rng.integers(0, 2, B),
}
batch = {name: jnp.asarray(value, jnp.int32) for name, value in batch.items()}


def loss_of(w, batch, key):
    keys = iter(jax.random.split(key, 3 * L + 1))

    def drop(x):
        if RATE == 0:
            return x
        return jnp.where(jax.random.bernoulli(next(keys), 1 - RATE, x.shape), x / (1 - RATE), 0.0)

    def linear(name, x):
        return x @ w[name + "/k"] + w[name + "/b"]

    def normed(name, x):
        c = x - x.mean(-1, keepdims=True)
        return c * jax.lax.rsqrt((c * c).mean(-1, keepdims=True) + 1e-12) * w[name + "/g"] + w[name + "/b"]

    def gelu(x):
        return jax.nn.gelu(x, approximate=True)

    def entropy(logits, labels):
        return -jnp.take_along_axis(jax.nn.log_softmax(logits), labels[:, None], -1).mean()

    x = w["word"][batch["ids"]] + w["type"][batch["types"]] + w["position"][:S]
    x = linear("map", drop(normed("embedded", x)).reshape(B * S, E))
    bias = (1.0 - batch["mask"].reshape(B, 1, 1, S)) * -10000.0
    for _ in range(L):
        q, k, v = (linear(n, x).reshape(B, S, A, H // A).transpose(0, 2, 1, 3) for n in "qkv")
        p = jax.nn.softmax(jnp.einsum("bhqd,bhkd->bhqk", q, k) / np.sqrt(H // A) + bias)
        mixed = jnp.einsum("bhqk,bhkd->bhqd", drop(p), v).transpose(0, 2, 1, 3).reshape(B * S, H)
        a = normed("attended", x + drop(linear("o", mixed)))
        x = normed("layer", a + drop(linear("outer", gelu(linear("inner", a)))))
    rows = x[(batch["positions"] + jnp.arange(B)[:, None] * S).reshape(-1)]
    t = normed("transformed", gelu(linear("transform", rows)))
    pooled = jnp.tanh(linear("pooler", x.reshape(B, S, H)[:, 0]))
    masked = entropy(t @ w["word"].T + w["output/b"], batch["pieces"])
    return masked + entropy(linear("order", pooled), batch["orders"])


def step(w, m, v, batch, key):
    loss, g = jax.value_and_grad(loss_of)(w, batch, key)
    scale = 1 / jnp.maximum(jnp.sqrt(sum((x * x).sum() for x in g.values())), 1)
    new_w, new_m, new_v = {}, {}, {}
    for n in w:
        new_m[n] = 0.9 * m[n] + 0.1 * g[n] * scale
        new_v[n] = 0.999 * v[n] + 0.001 * (g[n] * scale) ** 2
        u = new_m[n] / (jnp.sqrt(new_v[n]) + 1e-6)
        if w[n].ndim > 1:
            u = u + 0.01 * w[n]
            size, change = jnp.sqrt((w[n] ** 2).sum()), jnp.sqrt((u**2).sum())
            u = u * jnp.where((size > 0) & (change > 0), size / change, 1.0)
        new_w[n] = w[n] - 0.003 * u
    return new_w, new_m, new_v, loss


run = jax.jit(step, donate_argnums=(0, 1, 2))
m = jax.tree.map(jnp.zeros_like, weights)
v = jax.tree.map(jnp.zeros_like, weights)
for number, _ in enumerate(sys.stdin):
    before = resource.getrusage(resource.RUSAGE_SELF)
    weights, m, v, loss = run(weights, m, v, batch, jax.random.key(number))
    loss = float(loss)
    after = resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(loss, cpu, after.ru_maxrss * 1024, flush=True)
