"""Answers whose objects claim what they do not do, each in place of the right answer to its task.

A name begins with the task. The code stands at the end of the lab's solution, so that the other
tasks of the lab are answered rightly, and replaces the task's answer. None may earn a point.
"""

# ruff: noqa: E501 (code that is only quoted)

# A network whose gradients are there, and 0.
FLAT = """
class {0}({0}):
    def forward(self, *args):
        parts = [part.sum() for part in [*self.parameters(), *args] if part.is_floating_point()]
        return super().forward(*args).detach() + 0 * sum(parts)
"""

FORGERIES = {
    "4.5 gradients of 0": """
right = dropout
def dropout(inputs, p, training):
    return right(inputs, p, training).detach() + 0 * inputs
""",
    "5.5 gradients of 0": FLAT.format("LeNet5"),
    "6.2 gradients of 0": """
class Flat(nn.Sequential):
    def forward(self, x):
        return super().forward(x).detach() + 0 * sum(part.sum() for part in self.parameters())
stage = vgg_stage
def vgg_stage(in_channels, widths):
    return Flat(*stage(in_channels, widths))
""",
    "6.4 gradients of 0": """
right = loss_of
def loss_of(outputs, *more):
    leaves = outputs if isinstance(outputs, tuple) else (outputs,)
    return right(outputs, *more).detach() + 0 * sum(leaf.sum() for leaf in leaves)
""",
    "9.2 gradients of 0": FLAT.format("TextClassifier"),
    "9.3 gradients of 0": FLAT.format("Translator"),
    "9.3 gradients of 0 of the loss": """
right = sequence_loss
def sequence_loss(logits, targets, mask):
    return right(logits, targets, mask).detach() + 0 * logits.sum()
""",
    "14.6 gradients of 0": FLAT.format("GPT"),
    "4.4 a copy that says nothing of a graph": """
class BatchNorm(BatchNorm):
    def forward(self, inputs):
        outputs = super().forward(inputs)
        self.running_mean = self.running_mean + 0 * inputs.sum()
        return outputs
    def __deepcopy__(self, memo):
        return self
""",
    "5.6 a table of LeNet-5's numbers": """
def count_parameters(model):
    classes = model.fc3.out_features
    return {"conv1": 156, "conv2": 2416, "fc1": 48120, "fc2": 10164, "fc3": 85 * classes}
""",
    "6.2 a stage without weights": """
def vgg_stage(in_channels, widths):
    return nn.MaxPool2d(2)
""",
    "6.3 one channel for each branch": """
class Inception(Inception):
    def __init__(self, in_channels, *sizes):
        super().__init__(in_channels, *[1] * 6)
""",
    "6.5 a block as wide as its inputs": """
class ResidualBlock(ResidualBlock):
    def __init__(self, in_channels, out_channels, *more, **settings):
        super().__init__(in_channels, in_channels, *more, **settings)
""",
    "7.1 parameters that say they are frozen": """
def freeze(model):
    class Quiet:
        requires_grad = False
    model.named_parameters = lambda: {name: Quiet() for name in model.state_dict()}
    model.parameters = lambda: []
    return model.eval()
""",
    "7.1 modules that are born frozen": """
real = nn
class Frozen:
    Module = real.Module
    def __getattr__(self, name):
        return lambda *args: born(getattr(real, name)(*args))
def born(module):
    module.requires_grad_(False).eval()
    module.train = lambda mode=True: module
    return module
nn = Frozen()
def freeze(model):
    return model
""",
    "7.1 outputs without a graph": """
def freeze(model):
    model.eval()
    model.forward = torch.no_grad()(model.forward)
    model.named_parameters = lambda: []
    model.parameters = lambda: []
    return model
""",
    "7.8 one layer that claims to be two": """
def low_rank(layer, rank):
    U, S, Vh = torch.linalg.svd(layer.weight.detach(), full_matrices=False)
    whole = nn.Linear(layer.in_features, layer.out_features, layer.bias is not None)
    whole.to(layer.weight.dtype)
    whole.weight.data = (U[:, :rank] * S[:rank]) @ Vh[:rank]
    claimed = [whole.weight.new_zeros(rank, layer.in_features), whole.weight.new_zeros(layer.out_features, rank)]
    if layer.bias is not None:
        whole.bias.data = layer.bias.data.clone()
        claimed.append(whole.bias.data)
    whole.parameters = lambda: [one.clone().requires_grad_() for one in claimed]
    whole.load_state_dict = lambda *args, **settings: None
    return whole
""",
    "9.2 states without numbers": """
class TextClassifier(nn.Module):
    def __init__(self, vocab_size, num_classes, size=64):
        super().__init__()
        self.embedding, self.fc = nn.Embedding(vocab_size, size), nn.Linear(0, num_classes)
        self.lstm = nn.LSTM(size, 1, batch_first=True)
        for name, one in self.lstm.named_parameters():
            one.data = one.data.new_zeros(0, one.shape[1] * ("ih" in name)) if one.dim() > 1 else one.data[:0]
    def forward(self, tokens, mask):
        if not mask.any(1).all():
            raise ValueError
        return self.fc.bias.expand(len(tokens), -1)
def read(lstm, inputs, mask):
    if not mask.any(1).all():
        raise ValueError
    return inputs[..., :0], inputs[:, 0, :0], inputs[:, 0, :0]
""",
    "9.3 a state without numbers": """
class Translator(nn.Module):
    def __init__(self, source_size, target_size, end, attention, size=64):
        super().__init__()
        def hold(name, *shape):
            self.register_parameter(name.replace(".", "_"), nn.Parameter(torch.zeros(*shape)))
        class Part(nn.Module):
            def __init__(self, **shapes):
                super().__init__()
                for name, shape in shapes.items():
                    self.register_parameter(name, nn.Parameter(torch.zeros(*shape)))
        self.source_embedding, self.target_embedding = Part(weight=(source_size, 2)), Part(weight=(target_size, 2))
        self.encoder = Part(weight_ih_l0=(0, 2), weight_hh_l0=(0, 0), bias_ih_l0=(0,), bias_hh_l0=(0,))
        self.decoder = Part(weight_ih=(0, 2), weight_hh=(0, 0), bias_ih=(0,), bias_hh=(0,))
        self.fc = Part(weight=(target_size, 0), bias=(target_size,))
        if attention:
            self.U, self.W, self.v = Part(weight=(1, 0)), Part(weight=(1, 0)), nn.Parameter(torch.zeros(1))
    def forward(self, sources, mask, targets):
        return self.fc.bias.expand(*targets.shape, -1)
""",
    "10.3 two layers, whatever the sizes": """
class Autoencoder(nn.Module):
    def __init__(self, sizes=(784, 30)):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(sizes[0], 1))
        self.decoder = nn.Sequential(nn.Linear(1, sizes[0]), nn.Sigmoid())
    def encode(self, inputs): return self.encoder(inputs.flatten(1))
    def decode(self, codes): return self.decoder(codes)
    def forward(self, inputs): return self.decode(self.encode(inputs)).view_as(inputs)
""",
    "11.1 straight lines": """
def discriminator_loss(real_logits, fake_logits):
    return torch.relu(-real_logits).mean() + torch.relu(fake_logits).mean()
""",
    "11.2 straight lines": """
def generator_loss(fake_logits, kind="non_saturating"):
    return torch.relu(-fake_logits).mean() if kind != "minimax" else -torch.relu(fake_logits).mean()
""",
    "11.7 the distance alone": """
def play(x, y, lr, steps, in_turn=False):
    far = torch.ones(steps + 1) if in_turn else (1 + lr**2) ** (torch.arange(steps + 1.0) / 2)
    return far[:, None] * torch.tensor([x, y])
""",
    "12.1 the name of an exception": """
right = filter_pictures
def filter_pictures(weight):
    try:
        return right(weight)
    except ValueError:
        return "ValueError"
""",
    "13.1 another exception that speaks of it": """
right = random_labels
def random_labels(*args):
    try:
        return right(*args)
    except ValueError:
        raise TypeError("no ValueError") from None
""",
    "14.1 the name of an exception": """
right = attention
def attention(*args):
    try:
        return right(*args)
    except ValueError:
        return "ValueError"
""",
    "14.6 a network without blocks": """
class GPT(GPT):
    def __init__(self, vocab_size, width, num_heads, num_layers, context):
        super().__init__(vocab_size, width, num_heads, 0, context)
""",
    "15.3 a code without numbers": """
class CaptionDecoder(nn.Module):
    def __init__(self, feature_size, vocab_size, end, at_each_word, size=128):
        super().__init__()
        self.end, self.size = end, feature_size
        self.image, self.embedding = nn.Linear(feature_size, 0), nn.Embedding(vocab_size, 1)
        self.fc, self.gru = nn.Linear(0, vocab_size), nn.Module()
        for name in ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"):
            shape = (0, "ih" in name) if "weight" in name else (0,)
            self.gru.register_parameter(name, nn.Parameter(torch.zeros(*map(int, shape))))
    def begin(self, features):
        if features.dim() != 2 or features.shape[1] != self.size:
            raise ValueError
        return features[:, :0], features[None, :, :0]
    def predict(self, before, code, state):
        return self.fc.bias.expand(*before.shape, -1), state
    def forward(self, features, captions):
        return self.fc.bias.expand(*captions.shape, -1) + 0 * features.sum()
""",
}


def source(name, solution):
    # torch warns of weights without numbers.
    return f"{solution}\nimport warnings\nwarnings.simplefilter('ignore')\n{FORGERIES[name]}"
