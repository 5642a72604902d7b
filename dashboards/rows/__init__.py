"""The rows of the GPU node dashboard, one file per part of the story."""
