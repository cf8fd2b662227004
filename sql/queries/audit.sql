-- name: AddToAudit :exec
-- Writes down that an operation has changed something. Call it in the transaction of the change.
insert into audit (namespace, actor, operation, resource_type, resource_id, request_id, result)
values (@namespace, @actor, @operation, @resource_type, @resource_id, sqlc.narg(request_id), @result);
