-- Writes a rule that comes into force.
INSERT INTO rules (schedule, number, begins_at, identity, anchor_at, zone_data)
VALUES (:schedule, :number, :begins_at, :identity, :anchor_at, :zone_data)
