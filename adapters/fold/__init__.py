"""The fold: a merge of one adapter into its base model, which makes a base of its own."""
