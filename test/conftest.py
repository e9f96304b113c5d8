from hypothesis import settings

# The first example of a test may have to compile what it calls.
settings.register_profile("evio_ros", deadline=None)
settings.load_profile("evio_ros")
