"""Features of several backbones side by side → classifiers on them, after khan2024.

Nothing here imports torch until it is needed, so that options are refused at once.
"""
