"""From images to logits and loss: networks, and the module that trains them."""
