"""This library beside the packages a user could pick instead: `make bench-peers`.

``operations`` say what is done on which data and when two answers agree, ``packages`` how each
package does it, ``worker`` measures one of them in a process of its own, ``runner`` decides who is
measured when, and ``report`` writes down what came out.
"""
