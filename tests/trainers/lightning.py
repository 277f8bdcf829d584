"""A training by Lightning's own Trainer, with a worker that loads data: on SIGTERM it ends at the next batch, and saves.

    lightning.py DIRECTORY

Prints `step N` from time to time.
"""

import dataclasses
import sys
import time
import warnings

warnings.filterwarnings("ignore")


def lenient(field=dataclasses._get_field):
    """Debian 12 has a torch that is older than Python 3.11's rule about mutable defaults."""

    def get(cls, name, *rest):
        try:
            return field(cls, name, *rest)
        except ValueError:
            default = getattr(cls, name)
            setattr(cls, name, dataclasses.field(default_factory=lambda: default))
            return field(cls, name, *rest)

    return get


dataclasses._get_field = lenient()

import pytorch_lightning as lightning  # noqa: E402
import torch  # noqa: E402
from pytorch_lightning.callbacks import OnExceptionCheckpoint  # noqa: E402


class Model(lightning.LightningModule):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(4, 1)

    def training_step(self, batch, index):
        time.sleep(0.01)
        if index % 10 == 5:
            print(f"step {index}", flush=True)
        return self.layer(batch[0]).sum()

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.01)


data = torch.utils.data.TensorDataset(torch.randn(1_000_000, 4))
loader = torch.utils.data.DataLoader(data, batch_size=8, num_workers=1)
saves = OnExceptionCheckpoint(sys.argv[1])
quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
lightning.Trainer(max_epochs=1, accelerator="cpu", callbacks=[saves], **quiet).fit(Model(), loader)
