# modes: standard
import uuid
print(uuid.uuid5(uuid.NAMESPACE_DNS, "example.org"), len(str(uuid.uuid4())), uuid.UUID(int=1).version)
