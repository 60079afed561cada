"""An encoder on disk: weights, preprocessing, and the proof that both are the ones that were saved.

A checkpoint is a folder in the Hugging Face layout:

- `model.safetensors`: the encoder's weights;
- `config.json`: class and arguments, `Preprocessing`, checksum of the weights, how it was pretrained and on whom;
- `golden.safetensors`: a signal and its embedding, recomputed at every load;
- `decoder.safetensors`: where it was trained to give the signal back, the decoder's weights;
- `README.md`: the model card.
"""

from ssl_ecg.checkpoint.folder import golden_signal, load_encoder, save_encoder
from ssl_ecg.checkpoint.heads import shipped_head
from ssl_ecg.checkpoint.pretrained import PretrainedEncoder, patient_hash
from ssl_ecg.checkpoint.references import find_checkpoint

__all__ = [
    "PretrainedEncoder",
    "find_checkpoint",
    "golden_signal",
    "load_encoder",
    "patient_hash",
    "save_encoder",
    "shipped_head",
]
