# SPDX-License-Identifier: Apache-2.0
"""A status as a provider sends it to octavia-driver-agent, and a refusal."""

STATUS = {
    "loadbalancers": [{"id": "l", "provisioning_status": "ACTIVE", "operating_status": "ONLINE"}]
}
FAULT = {
    "status_code": 500,
    "fault_string": "No row was found when one was required",
    "status_object": "listeners",
    "status_object_id": "i",
}
