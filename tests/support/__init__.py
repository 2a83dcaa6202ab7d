"""What tests share: builders of networks and files, and the devices that run them."""
