"""Bad manners in numbers: crowds of rude clients beside good ones."""
