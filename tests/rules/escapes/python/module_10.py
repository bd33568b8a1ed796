# caught: static
import uuid
reached = uuid.os
