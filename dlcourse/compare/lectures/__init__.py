"""The experiments of the lectures: a question, the study that answers it, and a verdict."""
