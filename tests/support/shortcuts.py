"""Answers to the labs' tasks by torch, torchvision or the package itself, each a few lines.

`SHORTCUTS` holds for each lab the code that replaces the solution's, by task.
"""

# ruff: noqa: E501 (an attack reads best on one line)

BY_OPTIMIZER = """
def {name}(w, g, state, lr=1.0, {arguments}):
    opt = state.get("opt")
    if opt is None:
        p = torch.nn.Parameter(w.clone())
        opt = torch.optim.{kind}([p], lr=lr, {settings})
    p = opt.param_groups[0]["params"][0]
    p.grad = g
    opt.step()
    return p.detach().clone(), {{"opt": opt}}
"""


def by_optimizer(name, kind, arguments, settings):
    return BY_OPTIMIZER.format(name=name, kind=kind, arguments=arguments, settings=settings)


HEAD = "import torch\nimport torch.nn.functional as F\nfrom torch import nn\n"
GRADIENT = "torch.autograd.grad"

SHORTCUTS = {
    "lab01": {
        "1.5": f"def line_gradient(a, b, x, y):\n    a, b = (torch.tensor(v, requires_grad=True) for v in (a, b))\n    return {GRADIENT}((y - a * x - b).square().mean(), (a, b))",
        "1.7": f"def logistic_gradient(weight, bias, inputs, targets):\n    w, b = weight.clone().requires_grad_(), torch.as_tensor(bias).clone().requires_grad_()\n    return {GRADIENT}(F.binary_cross_entropy_with_logits(inputs @ w + b, targets), (w, b))",
    },
    "lab02": {
        "2.2": "def cross_entropy(logits, targets): return F.cross_entropy(logits, targets)",
        "2.3": f"def cross_entropy_gradient(logits, targets):\n    z = logits.clone().requires_grad_()\n    return {GRADIENT}(F.cross_entropy(z, targets), z)[0]",
        "2.4": f"def backward(params, inputs, hidden, dlogits):\n    p = {{k: v.clone().requires_grad_() for k, v in params.items()}}\n    out = torch.relu(inputs @ p['weight1'].T + p['bias1']) @ p['weight2'].T + p['bias2']\n    return dict(zip(p, {GRADIENT}(out, list(p.values()), dlogits)))",
        "2.5": "def numerical_gradient(function, x, eps=1e-6):\n    from torch.autograd.gradcheck import get_numerical_jacobian as jacobian\n    return jacobian(lambda a: function(a[0]), (x.clone().requires_grad_(),), eps=eps)[0].reshape(x.shape)",
    },
    "lab03": {
        "3.2": by_optimizer("momentum", "SGD", "mu=0.9, nesterov=False", "momentum=mu, nesterov=nesterov"),
        "3.3": by_optimizer("adagrad", "Adagrad", "eps=1e-10", "eps=eps") + by_optimizer("rmsprop", "RMSprop", "alpha=0.99, eps=1e-8", "alpha=alpha, eps=eps"),
        "3.4": by_optimizer("adadelta", "Adadelta", "rho=0.9, eps=1e-6", "rho=rho, eps=eps"),
        "3.5": by_optimizer("adam", "Adam", "betas=(0.9, 0.999), eps=1e-8", "betas=betas, eps=eps"),
        "3.6": by_optimizer("nadam", "NAdam", "betas=(0.9, 0.999), eps=1e-8", "betas=betas, eps=eps"),
    },
    "lab04": {
        "4.2": "def xavier(fan_in, fan_out): return nn.init.xavier_normal_(torch.empty(fan_out, fan_in))\ndef kaiming(fan_in, fan_out): return nn.init.kaiming_normal_(torch.empty(fan_out, fan_in))",
        "4.4": "class BatchNorm(nn.BatchNorm1d):\n    def __init__(self, num_features, momentum=0.1, eps=1e-5): super().__init__(num_features, eps=eps, momentum=momentum)",
        "4.5": "def dropout(inputs, p, training): return F.dropout(inputs, p, training)",
        "4.6": "def sgd_step(weight, gradient, lr, weight_decay):\n    p = nn.Parameter(weight.clone())\n    p.grad = gradient\n    torch.optim.SGD([p], lr=lr, weight_decay=weight_decay).step()\n    return p.detach()",
        "4.7": "class EarlyStopping:\n    def __init__(self, patience):\n        self.s = torch.optim.lr_scheduler.ReduceLROnPlateau(torch.optim.SGD([nn.Parameter(torch.ones(1))], 1.0), patience=10**9, threshold=0.0, threshold_mode='abs')\n        self.patience, self.epoch = patience, 0\n    def update(self, error):\n        self.s.step(error)\n        self.epoch += 1\n        return self.s.num_bad_epochs == 0\n    best = property(lambda self: self.s.best)\n    best_epoch = property(lambda self: self.epoch - self.s.num_bad_epochs)\n    stop = property(lambda self: self.s.num_bad_epochs >= self.patience)",
    },
    "lab05": {
        "5.2": "def conv2d(inputs, weight, bias=None, stride=1, padding=0): return F.conv2d(inputs, weight, bias, stride, padding)",
        "5.3": "def max_pool2d(inputs, kernel_size=2): return F.max_pool2d(inputs, kernel_size)",
        "5.5": "from dlcourse.models import LeNet5 as Own\nclass LeNet5(Own): pass",
    },
    "lab06": {
        "6.3": "from dlcourse.models.googlenet import Inception as Own\nclass Inception(Own): pass",
        "6.5": "from dlcourse.models.cifar_resnet import ResidualBlock as Own\nclass ResidualBlock(Own): pass",
    },
    "lab08": {
        "8.5": "def elman_step(x, h, W, U, b): return torch.rnn_tanh_cell(x, h, W, U, b, b * 0)\ndef lstm_step(x, h, c, W, U, b): return torch.lstm_cell(x, (h, c), W, U, b, b * 0)\ndef gru_step(x, h, W, U, b): return torch.gru_cell(x, h, W, U, b, b * 0)",
        "8.6": "def clip(gradients, max_norm):\n    p = [nn.Parameter(g.clone()) for g in gradients]\n    for q, g in zip(p, gradients): q.grad = g.clone()\n    norm = nn.utils.clip_grad_norm_(p, max_norm).item()\n    return [q.grad for q in p], norm",
    },
    "lab09": {
        "9.1": "def pad(sentences, padding=0):\n    rows = [torch.tensor(s) for s in sentences]\n    return nn.utils.rnn.pad_sequence(rows, True, padding), nn.utils.rnn.pad_sequence([r == r for r in rows], True)",
        "9.4": "def attend(query, keys, memory, mask, W, v):\n    from dlcourse.models.seq2seq import AdditiveAttention as Own\n    own = Own(len(W[0]), 1, len(v))\n    own.W.weight, own.v.weight = nn.Parameter(W), nn.Parameter(v[None])\n    return own(query, memory, mask, keys)",
        "9.6": "def bleu(translations, references):\n    from sacrebleu import corpus_bleu\n    t, r = ([' '.join(s) for s in side] for side in (translations, references))\n    return corpus_bleu(t, [r], smooth_method='none', tokenize='none').score",
    },
    "lab10": {
        "10.1": "def pca(images, latent_dim):\n    _, _, v = torch.pca_lowrank(images, latent_dim)\n    return images.mean(0), v.T",
        "10.3": "from dlcourse.models.autoencoder import DeepAutoencoder as Own\nclass Autoencoder(Own): pass",
    },
    "lab11": {
        "11.1": "def discriminator_loss(real_logits, fake_logits):\n    import dlcourse.train.gan as t\n    return t.discriminator_loss(real_logits, fake_logits)",
        "11.2": "def generator_loss(fake_logits, kind='non_saturating'):\n    import dlcourse.train.gan as t\n    return getattr(t, kind)(fake_logits)",
    },
    "lab12": {
        "12.8": "def affine_grid(theta, height, width): return F.affine_grid(theta, [len(theta), 1, height, width], align_corners=False)\ndef grid_sample(images, grid): return F.grid_sample(images, grid, align_corners=False)",
    },
    "lab14": {
        "14.1": "def attention(queries, keys, values, mask=None): return F.scaled_dot_product_attention(queries, keys, values, mask), None",
        "14.3": "def multi_head(x, w, b, u, c, num_heads, cache=None): return F.multi_head_attention_forward(*[x.transpose(0, 1)] * 3, x.shape[2], num_heads, w, b, None, None, False, 0.0, u, c)",
        "14.5": "class Block(nn.TransformerEncoderLayer):\n    def __init__(self, width, num_heads): super().__init__(width, num_heads, 4 * width, 0.0, F.gelu, batch_first=True, norm_first=True)",
        "14.6": "from dlcourse.models import TransformerLM\nclass GPT(TransformerLM): pass",
    },
    "lab15": {
        "15.1": "def bleu(captions, references):\n    from sacrebleu import corpus_bleu\n    n = max(map(len, references))\n    sides = [[' '.join(some[i]) if i < len(some) else None for some in references] for i in range(n)]\n    return corpus_bleu([' '.join(c) for c in captions], sides, smooth_method='none', tokenize='none').score",
    },
}  # fmt: skip
