"""NIR in: networks that other frameworks trained, as integer networks of this accelerator.

file (read) → float layers under a framework's rule (rules, reference) → integers, exactly (exact) or by calibration
(quantise) and fine-tuning (fine_tune) → QONNX with its proof (convert)
"""
