-- Notes for which boot of the host an "@reboot" was served.
UPDATE schedules SET booted = :boot_id WHERE id = :id
