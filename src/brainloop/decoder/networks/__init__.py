"""Small networks for single epochs, many of one kind in one module so that they train as one.

Each is a `torch.nn.Module` made with (n_channels, n_times, n_members); it maps whitened epochs
(n, n_channels, n_times) to log-odds (n, n_members). Nothing is shared between its members: the first dimension of
every parameter and buffer belongs to them in equal parts, in order.
"""
