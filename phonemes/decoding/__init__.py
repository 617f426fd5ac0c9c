"""From posteriors of single frames to labels of whole utterances."""
